//! The store with recipes that need neither network nor time.

use std::cell::RefCell;

use super::*;
use crate::exec::{RunError, Tool};

const DAY: Duration = Duration::from_hours(24);

/// A recipe whose mirror and build do as told.
struct Fake {
    name: &'static str,
    state: RefCell<Result<&'static str, &'static str>>,
    builds: RefCell<usize>,
    build_fails: bool,
    needs: Bytes,
}

impl Fake {
    fn new(name: &'static str) -> Self {
        let state = RefCell::new(Ok("13.0"));
        Self { name, state, builds: RefCell::new(0), build_fails: false, needs: Bytes::mib(1) }
    }
}

impl Recipe for Fake {
    fn name(&self) -> String {
        self.name.to_owned()
    }
    fn label(&self) -> String {
        format!("{} image", self.name)
    }
    fn needs(&self) -> Bytes {
        self.needs
    }
    fn mirror(&self) -> String {
        "http://mirror.invalid/debian".to_owned()
    }
    fn state(&self, _: &Place) -> Result<String, String> {
        (*self.state.borrow()).map(str::to_owned).map_err(str::to_owned)
    }
    fn build(&self, place: &Place) -> Result<(), ImageError> {
        *self.builds.borrow_mut() += 1;
        fs::write(place.entry.join("rootfs"), vec![1; 1 << 20]).unwrap();
        if self.build_fails {
            let source = Tool::Mmdebstrap.start_error(&Tool::Mmdebstrap.command(), io::ErrorKind::NotFound.into());
            assert!(matches!(source, RunError::Missing { .. }));
            return Err(ImageError::Build { label: self.label(), source });
        }
        Ok(())
    }
}

fn store(root: &Path, cap: Bytes, checked_for: Duration) -> Store {
    Store::open(root, cap, checked_for).unwrap()
}

/// Gets an entry and what was said.
fn get(store: &Store, recipe: &Fake) -> (Result<Entry, ImageError>, String) {
    let mut said = String::new();
    let entry = store.get(recipe, &mut |text| said = format!("{said}{text}\n"));
    (entry, said)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = list(folder).unwrap().iter().map(|(path, _)| key_of(path)).collect();
    names.sort();
    names
}

#[test]
fn a_warm_cache_needs_no_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let (store, recipe) = (store(folder.path(), Bytes::gib(1), DAY), Fake::new("a"));
    let first = get(&store, &recipe).0.unwrap();
    *recipe.state.borrow_mut() = Err("no route");
    let (second, said) = get(&store, &recipe);
    assert_eq!((second.unwrap().path, said.as_str(), *recipe.builds.borrow()), (first.path, "", 1));
}

#[test]
fn a_stale_entry_is_used_loudly_while_the_mirror_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let (store, recipe) = (store(folder.path(), Bytes::gib(1), Duration::ZERO), Fake::new("a"));
    let first = get(&store, &recipe).0.unwrap();
    *recipe.state.borrow_mut() = Err("no route");
    let (second, said) = get(&store, &recipe);
    assert_eq!((second.unwrap().path, *recipe.builds.borrow()), (first.path, 1));
    assert!(said.starts_with("STALE: the a image may be out of date (release of 13.0)"), "{said}");
    assert!(said.contains("no route"), "{said}");
}

#[test]
fn a_stale_entry_is_used_loudly_when_the_new_one_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut recipe) = (store(folder.path(), Bytes::gib(1), Duration::ZERO), Fake::new("a"));
    let first = get(&store, &recipe).0.unwrap();
    *recipe.state.borrow_mut() = Ok("13.1");
    recipe.build_fails = true;
    let (second, said) = get(&store, &recipe);
    assert_eq!(second.unwrap().path, first.path);
    assert!(said.contains("STALE: using the a image of 13.0"), "{said}");
}

#[test]
fn a_point_release_is_built_and_the_old_entry_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (store, recipe) = (store(folder.path(), Bytes::gib(1), Duration::ZERO), Fake::new("a"));
    let old = get(&store, &recipe).0.unwrap().path;
    *recipe.state.borrow_mut() = Ok("13.1");
    let new = get(&store, &recipe).0.unwrap().path;
    assert!(!old.exists() && new.exists());
    let stays = get(&store, &recipe).0.unwrap();
    *recipe.state.borrow_mut() = Ok("13.2");
    get(&store, &recipe).0.unwrap();
    assert!(stays.path.exists(), "somebody uses it");
}

#[test]
fn without_anything_the_mirror_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, recipe) = (store(folder.path(), Bytes::gib(1), DAY), Fake::new("a"));
    *recipe.state.borrow_mut() = Err("no route");
    let error = get(&store, &recipe).0.unwrap_err().to_string();
    assert!(error.contains("http://mirror.invalid/debian does not answer: no route"), "{error}");
    assert!(error.contains("STEAD_LAB_MIRROR"), "{error}");
}

#[test]
fn an_entry_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut recipe) = (store(folder.path(), Bytes::gib(1), DAY), Fake::new("a"));
    recipe.build_fails = true;
    get(&store, &recipe).0.unwrap_err();
    assert!(names_in(&folder.path().join("entries")).is_empty());
    assert_eq!(names_in(&folder.path().join("build")), ["a", "a.lock"], "as a killed build leaves it");
    // Another build cleans that up, but not what is being built.
    fs::create_dir(folder.path().join("build/busy")).unwrap();
    let busy = open_lock(&folder.path().join("build/busy.lock")).unwrap();
    assert!(try_lock(&busy, folder.path()).unwrap());
    get(&store, &Fake::new("b")).0.unwrap();
    assert_eq!(names_in(&folder.path().join("build")), ["a.lock", "b.lock", "busy", "busy.lock"]);
    recipe.build_fails = false;
    let entry = get(&store, &recipe).0.unwrap();
    assert!(entry.path.join("rootfs").exists());
}

#[test]
fn the_longest_unused_goes_first_and_a_leased_one_never() {
    let folder = tempfile::tempdir().unwrap();
    // Room for two of three entries, each a bit more than 1 MiB.
    let store = store(folder.path(), Bytes::mib(3), DAY);
    let leased = get(&store, &Fake::new("leased")).0.unwrap();
    drop(get(&store, &Fake::new("unused")));
    let (last, said) = get(&store, &Fake::new("last"));
    assert!(said.contains("deleted unused-"), "{said}");
    assert!(leased.path.exists() && last.unwrap().path.exists());
    assert_eq!(names_in(&folder.path().join("entries")).len(), 2);
    assert!(names_in(&folder.path().join("trash")).is_empty());
}

#[test]
fn another_process_leases_by_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Bytes::gib(1), DAY);
    let entry = get(&store, &Fake::new("a")).0.unwrap();
    let rootfs = entry.path.join("rootfs");
    let again = lease_of(&rootfs).unwrap();
    drop(entry);
    assert_eq!(store.delete(|_| true).unwrap(), 0);
    drop(again);
    assert_eq!(store.delete(|_| true).unwrap(), 1);
    let error = lease_of(&rootfs).unwrap_err().to_string();
    assert!(error.contains("no longer in the cache"), "{error}");
}

#[test]
fn a_cap_that_running_labs_exceed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), Bytes::mib(1), DAY);
    let (entry, said) = get(&store, &Fake::new("a"));
    assert!(entry.unwrap().path.exists());
    assert!(said.contains("more than its cap of 1MiB"), "{said}");
}

#[test]
fn a_full_disk_is_told_before_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut recipe) = (store(folder.path(), Bytes::gib(1), DAY), Fake::new("a"));
    recipe.needs = Bytes::gib(1 << 30);
    let error = get(&store, &recipe).0.unwrap_err().to_string();
    assert!(error.starts_with("building the a image needs 1099511627776 MiB, and `"), "{error}");
    assert!(error.contains("MiB free: make room there, or put the cache elsewhere with STEAD_LAB_CACHE"), "{error}");
    assert_eq!(*recipe.builds.borrow(), 0);
}

#[test]
fn two_that_want_the_same_build_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let one = store(folder.path(), Bytes::gib(1), DAY);
    let lock_path = one.root.join("build/a.lock");
    let lock = open_lock(&lock_path).unwrap();
    assert!(try_lock(&lock, &lock_path).unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let recipe = Fake::new("a");
        let entry = one.get(&recipe, &mut |text| tell.send(text.to_owned()).unwrap()).unwrap();
        (entry.path, *recipe.builds.borrow())
    });
    assert_eq!(told.recv().unwrap(), "waiting for another process that builds the a image");
    // What the other one waits for: this one's entry, put in place as a build does.
    let entry = folder.path().join("entries/a-0");
    fs::create_dir(&entry).unwrap();
    for stamp in ["lease", "state", "checked", "used"] {
        fs::write(entry.join(stamp), "").unwrap();
    }
    drop(lock);
    let (path, builds) = other.join().unwrap();
    assert_eq!((path.file_name().unwrap().to_str(), builds), (Some("a-0"), 0));
}
