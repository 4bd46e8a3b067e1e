//! Drives as a model: what cryptsetup, clevis, tang and LVM make of commands. The cases of plans and the simulator have it
//! in common. It knows nothing of steps.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stead_plan::disks::{
    BlockDevice, Bound, Content, Disk, Ends, HeaderState, LUKS, LogicalVolume, Luks, Pool, Tang, TangKey,
};
use stead_plan::inventory::Known;
use stead_plan::op::{MayHold, Program, Vacant};
use stead_spec::Bytes;
use stead_spec::units::Thumbprint;

/// What a node's drives and its tang are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drives {
    pub(crate) all: Vec<Drive>,
    pub(crate) tang: Tang,
    pub(crate) pools: BTreeMap<String, Pool>,
    /// Those of them that lie in their drive's cache only: LVM flushes nothing.
    pub(crate) unflushed: BTreeSet<String>,
    /// What is in the vault: headers by their files' names.
    pub(crate) kept: BTreeMap<String, HeaderState>,
    /// What lies in memory on its way.
    pub(crate) on_its_way: BTreeMap<String, HeaderState>,
    /// Where logical volumes are mounted, by their devices' names (`stead_1a-brick`); the vault's is somebody else's.
    pub(crate) mounts: BTreeMap<String, String>,
    /// The node's own mark in its keys.
    pub(crate) node: String,
}

/// One drive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drive {
    pub(crate) facts: Disk,
    pub(crate) header: Option<Header>,
    /// Whether its header is open.
    pub(crate) open: bool,
    /// Something else is on it.
    pub(crate) other: Option<String>,
}

/// A LUKS2 header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) uuid: String,
    pub(crate) label: String,
    pub(crate) epoch: u64,
    pub(crate) slots: BTreeMap<u8, Key>,
    pub(crate) tokens: BTreeMap<u8, Value>,
}

/// What opens a slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Passphrase(String),
    /// A key of clevis', with its token or without.
    Bound(Bound, bool),
}

/// What is around a node when it runs a command.
pub(crate) struct Around<'a> {
    pub(crate) crypttab: &'a str,
    /// Who signs for the tang at a URL, if one answers there.
    pub(crate) answers: &'a dyn Fn(&str) -> Option<BTreeSet<Thumbprint>>,
    /// Whether it is cut in the middle.
    pub(crate) half: bool,
}

/// A blank disk of a terabyte.
pub(crate) fn blank(id: &str, name: &str) -> Drive {
    let facts = Disk {
        name: name.to_owned(),
        ids: vec![id.to_owned()],
        serial: Some(id.rsplit('_').next().unwrap_or(id).to_owned()),
        wwn: None,
        model: Some("EXAMPLE SSD 1TB".to_owned()),
        size: Bytes::new(1_000_204_886_016),
        rotational: false,
        read_only: false,
        removable: false,
        transport: Some("sata".to_owned()),
        mounts: Vec::new(),
        content: None,
        luks: None,
        holders: Known::Is(Vec::new()),
        children: Vec::new(),
        signatures: None,
        blkid: None,
        exclusive: None,
        ends: None,
    };
    Drive { facts, header: None, open: false, other: None }
}

/// A thumbprint that only this key has.
fn thumbprint(of: &str) -> Thumbprint {
    URL_SAFE_NO_PAD.encode(Sha256::digest(of)).parse().expect("43 characters")
}

type Ran = Result<Option<String>, String>;

fn failed(why: impl Into<String>) -> Ran {
    Err(why.into())
}

#[allow(clippy::unnecessary_wraps, reason = "as its opposite")]
fn done() -> Ran {
    Ok(None)
}

/// The word behind an option.
fn option<'w>(words: &[&'w str], name: &str) -> Option<&'w str> {
    words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).copied()
}

impl Drives {
    fn drive(&mut self, path: &str) -> Option<&mut Drive> {
        let id = path.strip_prefix("/dev/disk/by-id/")?;
        self.all.iter_mut().find(|drive| drive.facts.ids.iter().any(|own| own == id))
    }

    fn header(&mut self, path: &str) -> Result<&mut Header, String> {
        let header = self.drive(path).and_then(|drive| drive.header.as_mut());
        header.ok_or_else(|| format!("Device {path} is not a valid LUKS device."))
    }

    /// Runs a program that is about drives; `None` if this one isn't. `Some` of what it printed, or said in the end.
    pub(crate) fn run(
        &mut self,
        program: Program,
        words: &[&str],
        stdin: Option<&str>,
        around: &Around<'_>,
    ) -> Option<Ran> {
        let headers = self.headers(program, words, stdin, around);
        let keys = headers.or_else(|| self.keys(program, words, around));
        keys.or_else(|| self.volumes(program, words, around))
    }

    /// cryptsetup and clevis.
    fn headers(&mut self, program: Program, words: &[&str], stdin: Option<&str>, around: &Around<'_>) -> Option<Ran> {
        Some(match (program, words) {
            (Program::Cryptsetup, ["luksFormat", ..]) => self.format(words, stdin, around),
            (Program::Cryptsetup, ["token", "import", ..]) => self.import(words, stdin),
            (Program::Cryptsetup, ["open", "--test-passphrase", "--key-slot", slot, path]) => {
                self.header(path).and_then(|header| {
                    let key = slot.parse().ok().and_then(|slot: u8| header.slots.get(&slot));
                    let right = matches!(key, Some(Key::Passphrase(word)) if Some(word.as_str()) == stdin);
                    if right { done() } else { failed("No key available with this passphrase.") }
                })
            }
            (Program::Cryptsetup, ["luksHeaderBackup", path, "--header-backup-file", file]) => {
                let state = match self.header(path) {
                    Ok(header) => header.state(),
                    Err(why) => return Some(failed(why)),
                };
                if self.on_its_way.contains_key(*file) {
                    return Some(failed(format!("Requested header backup file {file} already exists.")));
                }
                self.on_its_way.insert((*file).to_owned(), state);
                done()
            }
            (Program::Clevis, ["luks", "bind", ..]) => self.bind(words, stdin, around),
            (Program::Clevis, ["luks", "unlock", "-d", path, "-t", slot]) => self.header(path).and_then(|header| {
                let key = slot.parse().ok().and_then(|slot: u8| header.slots.get(&slot));
                let opens = matches!(key, Some(Key::Bound(bound, true)) if is_met(bound, around));
                if opens { done() } else { failed(format!("Test for token slot {slot} on device {path} failed.")) }
            }),
            (Program::Clevis, ["luks", "unbind", "-f", "-d", path, "-s", slot]) => {
                self.header(path).and_then(|header| {
                    let slot: u8 = slot.parse().map_err(|_| "Invalid slot.".to_owned())?;
                    match header.slots.get(&slot) {
                        Some(Key::Bound(_, true)) => drop(header.slots.remove(&slot)),
                        _ => return failed(format!("No clevis slot detected on device {path}:{slot}!")),
                    }
                    header.epoch += 1;
                    done()
                })
            }
            _ => return None,
        })
    }

    /// tang's keys, and files.
    fn keys(&mut self, program: Program, words: &[&str], around: &Around<'_>) -> Option<Ran> {
        Some(match (program, words) {
            (Program::TangdKeygen, [_, signs, exchanges]) => {
                let thumbprint = thumbprint(&format!("{}/{signs}", self.node));
                self.tang.advertised.insert(format!("{signs}.jwk"), TangKey::Signs(thumbprint));
                if !around.half {
                    self.tang.advertised.insert(format!("{exchanges}.jwk"), TangKey::Exchanges);
                }
                done()
            }
            (Program::Jose, ["jwk", "thp", "-a", "S256", "-i", path]) => {
                let name = path.rsplit('/').next().unwrap_or_default();
                match self.tang.advertised.get(name) {
                    Some(TangKey::Signs(thumbprint)) => Ok(Some(thumbprint.to_string())),
                    _ => failed("Error opening file"),
                }
            }
            (Program::Mv, [from, to]) => {
                let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                if self.tang.advertised.remove(&name(from)).is_none() {
                    return Some(failed(format!("mv: cannot stat '{from}'")));
                }
                self.tang.hidden.insert(name(to));
                done()
            }
            (Program::Rm, ["-f", "--", paths @ ..]) => {
                for path in paths {
                    self.on_its_way.remove(*path);
                    self.tang.hidden.remove(path.rsplit('/').next().unwrap_or_default());
                }
                done()
            }
            (Program::Sync, paths) => {
                for path in paths {
                    let group = path.trim_start_matches("/dev/").trim_start_matches("mapper/").split('/').next();
                    self.unflushed.remove(group.unwrap_or_default());
                }
                done()
            }
            (Program::Blkdiscard | Program::Udevadm, _) => done(),
            _ => return None,
        })
    }

    /// What is on an open drive, and what was on a closed one.
    fn volumes(&mut self, program: Program, words: &[&str], around: &Around<'_>) -> Option<Ran> {
        Some(match (program, words) {
            (Program::Wipefs, ["--all", path]) => match self.drive(path) {
                Some(drive) => {
                    drive.header = None;
                    drive.other = None;
                    done()
                }
                None => failed("no such device"),
            },
            (Program::Vgcreate, ["--addtag", tag, name, device]) => {
                let open = self.all.iter().find(|drive| drive.open && drive.mapping().as_deref() == Some(*device));
                let Some(size) = open.map(|drive| drive.facts.size) else {
                    return Some(failed(format!("No device found for {device}.")));
                };
                if self.pools.contains_key(*name) {
                    return Some(failed(format!("A volume group called {name} already exists.")));
                }
                let devices = [(*device).to_owned()].into();
                let tags = [(*tag).to_owned()].into();
                let pool = Pool { tags, size, free: size, devices, volumes: BTreeMap::new() };
                if !around.half {
                    self.pools.insert((*name).to_owned(), pool);
                    self.unflushed.insert((*name).to_owned());
                }
                done()
            }
            (Program::Vgchange, ["--addtag", tag, name]) => match self.pools.get_mut(*name) {
                Some(pool) => {
                    pool.tags.insert((*tag).to_owned());
                    done()
                }
                None => failed("no such volume group"),
            },
            (Program::Lvcreate, words) => {
                let (Some(name), Some(group)) = (option(words, "--name"), words.last()) else { return None };
                let size = option(words, "--size").or(option(words, "--virtualsize"));
                let size = size.and_then(|size| size.strip_suffix('b')?.parse().ok());
                let Some(pool) = self.pools.get_mut(*group) else { return Some(failed("Volume group not found")) };
                if pool.volumes.contains_key(name) {
                    return Some(failed("already exists"));
                }
                if option(words, "--thinpool").is_some_and(|thin| !pool.volumes.contains_key(thin)) {
                    return Some(failed("Failed to find logical volume"));
                }
                let tags = words.iter().zip(words.iter().skip(1)).filter(|(word, _)| **word == "--addtag");
                let tags = tags.map(|(_, tag)| (*tag).to_owned()).collect();
                // Without a file system, it has no content.
                if !around.half {
                    pool.volumes.insert(name.to_owned(), LogicalVolume { tags, size: Bytes::new(size?), used: None });
                }
                done()
            }
            (Program::Lvchange, ["--deltag", tag, path]) => {
                let there =
                    path.split_once('/').and_then(|(group, volume)| self.pools.get_mut(group)?.volumes.get_mut(volume));
                let Some(there) = there else { return Some(failed("Failed to find logical volume")) };
                there.tags.remove(*tag);
                done()
            }
            (Program::MkfsXfs, [.., path]) => match path.strip_prefix("/dev/").and_then(|path| path.split_once('/')) {
                Some((group, volume)) if self.mounts.contains_key(&format!("{group}-{volume}")) => {
                    failed(format!("mkfs.xfs: {path} contains a mounted filesystem"))
                }
                Some((group, volume)) => {
                    let there = self.pools.get(group).and_then(|pool| pool.volumes.get(volume));
                    if there.is_some() { done() } else { failed("mkfs.xfs: cannot open device") }
                }
                None => return None,
            },
            (Program::MkfsExt4, [.., path]) => match path.strip_prefix("/dev/").and_then(|path| path.split_once('/')) {
                Some((group, volume)) => {
                    self.unflushed.remove(group);
                    let there = self.pools.get_mut(group).and_then(|pool| pool.volumes.get_mut(volume));
                    match there {
                        Some(there) if !around.half => drop(there.tags.insert(FILES.to_owned())),
                        Some(_) => {}
                        None => return Some(failed("The file does not exist and no size was specified.")),
                    }
                    done()
                }
                None => return None,
            },
            _ => return None,
        })
    }

    fn format(&mut self, words: &[&str], stdin: Option<&str>, around: &Around<'_>) -> Ran {
        let (Some(uuid), Some(label), Some(path), Some(key)) =
            (option(words, "--uuid"), option(words, "--label"), words.last(), stdin)
        else {
            return failed("Unknown options");
        };
        let Some(drive) = self.drive(path) else { return failed(format!("Device {path} does not exist.")) };
        if drive.open {
            return failed(format!("Device {path} is in use."));
        }
        if around.half && uuid.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']) {
            // Cut before there was a header: what was random on its way there is left.
            drive.other = Some(HALF.to_owned());
            return done();
        }
        drive.other = None;
        let slots = if around.half { BTreeMap::new() } else { [(0, Key::Passphrase(key.to_owned()))].into() };
        let header =
            Header { uuid: uuid.to_owned(), label: label.to_owned(), epoch: 3, slots, tokens: BTreeMap::new() };
        drive.header = Some(header);
        done()
    }

    fn import(&mut self, words: &[&str], stdin: Option<&str>) -> Ran {
        let (Some(id), Some(path)) = (option(words, "--token-id").and_then(|id| id.parse().ok()), words.last()) else {
            return failed("Unknown options");
        };
        let token: Value = serde_json::from_str(stdin.unwrap_or_default()).map_err(|error| error.to_string())?;
        let header = self.header(path)?;
        if header.tokens.contains_key(&id) && !words.contains(&"--token-replace") {
            return failed(format!("Token {id} in use."));
        }
        header.tokens.insert(id, token);
        header.epoch += 1;
        done()
    }

    fn bind(&mut self, words: &[&str], stdin: Option<&str>, around: &Around<'_>) -> Ran {
        let ["luks", "bind", "-d", path, "-s", slot, "-k", "-", "sss", policy] = words else {
            return failed("Usage: clevis luks bind");
        };
        let policy: Value = serde_json::from_str(policy).map_err(|error| error.to_string())?;
        let bound = encrypt(&policy, around)?;
        let slot: u8 = slot.parse().map_err(|_| "Invalid slot".to_owned())?;
        let header = self.header(path)?;
        if header.slots.contains_key(&slot) {
            return failed(format!("Key slot {slot} is full, please select another one."));
        }
        let knows = |key: &Key| matches!(key, Key::Passphrase(word) if Some(word.as_str()) == stdin);
        if !header.slots.values().any(knows) {
            return failed("No key available with this passphrase.");
        }
        header.slots.insert(slot, Key::Bound(bound, !around.half));
        header.epoch += 1;
        done()
    }

    /// Opens a drive as systemd does: by crypttab, if those answer who open it.
    pub(crate) fn attach(&mut self, name: &str, around: &Around<'_>) -> Result<(), String> {
        let line = around.crypttab.lines().find(|line| line.split_whitespace().next() == Some(name));
        let uuid = line.and_then(|line| line.split_whitespace().nth(1)?.strip_prefix("UUID="));
        let uuid = uuid.ok_or_else(|| format!("Unit systemd-cryptsetup@{name}.service not found."))?;
        let of = |drive: &&mut Drive| drive.header.as_ref().is_some_and(|header| header.uuid == uuid);
        let drive = self.all.iter_mut().find(of).ok_or("Dependency failed: no such device")?;
        let opens = |key: &Key| matches!(key, Key::Bound(bound, true) if is_met(bound, around));
        drive.open |= drive.header.as_ref().is_some_and(|header| header.slots.values().any(opens));
        if drive.open { Ok(()) } else { Err("timed out".to_owned()) }
    }

    /// All that isn't written on a disk is gone; what can open, opens.
    pub(crate) fn boot(&mut self) {
        self.on_its_way.clear();
        self.mounts.clear();
        self.all.iter_mut().for_each(|drive| drive.open = false);
    }

    /// The power goes: what a drive had not flushed is there or isn't.
    pub(crate) fn lose(&mut self, mut is_lost: impl FnMut() -> bool) {
        for group in std::mem::take(&mut self.unflushed) {
            if is_lost() {
                self.pools.remove(&group);
            }
        }
    }

    /// Opens all that crypttab names.
    pub(crate) fn open_all(&mut self, around: &Around<'_>) {
        let names: Vec<String> =
            around.crypttab.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        for name in names.iter().filter(|name| name.starts_with("stead_")) {
            // One that isn't met waits.
            let _ = self.attach(name, around);
        }
    }

    /// Mounts what fstab says of a path, if it is there: XFS on a volume that is finished.
    pub(crate) fn mount(&mut self, place: &str, fstab: &str) -> Result<(), String> {
        let line = fstab.lines().find(|line| line.split_whitespace().nth(1) == Some(place));
        let device = line.and_then(|line| line.split_whitespace().next()?.strip_prefix("/dev/"));
        let (group, volume) =
            device.and_then(|device| device.split_once('/')).ok_or_else(|| format!("{place}: not in fstab"))?;
        let labels = self.all.iter().filter(|drive| drive.open).filter_map(|drive| Some(&drive.header.as_ref()?.label));
        let there = self.pools.get(group).and_then(|pool| pool.volumes.get(volume));
        let whole = there.is_some_and(|there| there.tags.iter().all(|tag| tag == "stead"));
        if !whole || !labels.into_iter().any(|label| label == group) {
            return Err(format!("{place}: can't find the device, or what is on it"));
        }
        self.mounts.insert(format!("{group}-{volume}"), place.to_owned());
        Ok(())
    }

    /// Whether something is mounted there.
    pub(crate) fn has_mounted(&self, place: &str) -> bool {
        self.mounts.values().any(|mounted| mounted == place)
    }

    /// Whether the vault's volume can be mounted: the drive is open, and there is a file system.
    pub(crate) fn vault(&self) -> Option<&str> {
        let open = self.all.iter().filter(|drive| drive.open).filter_map(|drive| Some(&drive.header.as_ref()?.label));
        let mut with = open.filter(|name| {
            let volume = self.pools.get(*name).and_then(|pool| pool.volumes.get("vault"));
            volume.is_some_and(|volume| volume.tags.contains(FILES))
        });
        with.next().map(String::as_str)
    }

    /// The last look before a drive is formatted.
    pub(crate) fn prove(&self, wanted: &Vacant) -> Result<(), String> {
        let drive = self.all.iter().find(|drive| drive.facts.is(&wanted.disk)).ok_or("it isn't there")?;
        let whole = drive.header.as_ref().is_some_and(|header| !header.slots.is_empty());
        match wanted.may_hold {
            MayHold::Nothing if drive.other.is_none() && drive.header.is_none() => Ok(()),
            MayHold::OwnBeginnings if !whole && drive.other.as_deref().is_none_or(|other| other == HALF) => Ok(()),
            MayHold::This(token) if drive.tell(false, self, None).wipe_token() == Ok(token) => Ok(()),
            _ => Err(format!("not formatted: {} is not vacant", wanted.disk)),
        }
    }

    /// A backup on its way, in base64; it goes.
    pub(crate) fn take(&mut self, path: &str) -> Result<String, String> {
        let state = self.on_its_way.remove(path).ok_or_else(|| format!("{path} isn't there"))?;
        Ok(STANDARD.encode(serde_json::to_vec(&state).expect("JSON")))
    }

    /// A backup from another node.
    pub(crate) fn place(&mut self, name: &str, content: &str) {
        let bytes = STANDARD.decode(content).expect("base64");
        self.kept.insert(name.to_owned(), serde_json::from_slice(&bytes).expect("a state"));
    }

    /// What an agent tells. `mounted`: the vault is.
    pub(crate) fn tell(&self, mounted: bool) -> Vec<Disk> {
        self.all.iter().map(|drive| drive.tell(true, self, mounted.then_some("/var/lib/stead/vault"))).collect()
    }
}

/// The model's own sign of a file system.
const FILES: &str = "ext4";

/// What a formatting that was cut leaves, before there is a header.
const HALF: &str = "half";

impl Header {
    pub(crate) fn state(&self) -> HeaderState {
        HeaderState {
            uuid: self.uuid.clone(),
            epoch: self.epoch,
            checksum: stead_plan::inventory::sha256(format!("{self:?}")).to_string(),
        }
    }
}

impl Drive {
    fn mapping(&self) -> Option<String> {
        self.header.as_ref().map(|header| format!("/dev/mapper/{}", header.label))
    }

    fn tell(&self, headers: bool, drives: &Drives, mounted: Option<&str>) -> Disk {
        let mut disk = self.facts.clone();
        if let Some(header) = &self.header {
            let (label, uuid) = (Some(header.label.clone()), Some(header.uuid.clone()));
            disk.content = Some(Content { kind: LUKS.to_owned(), label, uuid });
            if headers {
                disk.luks = Some(Known::Is(header.tell()));
            }
        }
        if let (true, Some(header)) = (self.open, &self.header) {
            let pool = drives.pools.get(&header.label);
            let device = |name: String, kind: &str| BlockDevice {
                name,
                kind: kind.to_owned(),
                size: disk.size,
                ..BlockDevice::default()
            };
            let mut opened = device(header.label.clone(), "crypt");
            opened.content = pool.map(|_| "LVM2_member".to_owned());
            for (name, volume) in pool.into_iter().flat_map(|pool| &pool.volumes) {
                let mut child = device(format!("{}-{name}", header.label), "lvm");
                child.content = volume.tags.contains(FILES).then(|| FILES.to_owned());
                child.mounts = mounted.filter(|_| name == "vault").map(str::to_owned).into_iter().collect();
                child.mounts.extend(drives.mounts.get(&child.name).cloned());
                opened.children.push(child);
            }
            disk.children = vec![opened];
            disk.holders = Known::Is(vec!["dm-0".to_owned()]);
        }
        if self.header.as_ref().is_none_or(|header| header.slots.is_empty() || header.token().is_none()) {
            let kind = self.other.as_deref().filter(|other| *other != HALF);
            let kind = kind.or(self.header.as_ref().map(|_| LUKS));
            let found =
                |kind: &str| stead_plan::disks::Signature { offset: 0, kind: kind.to_owned(), uuid: None, label: None };
            let empty = kind.is_none() && self.other.is_none();
            disk.signatures = Some(Known::Is(kind.map(found).into_iter().collect()));
            disk.blkid = Some(Known::Is(if kind.is_none() { 2 } else { 0 }));
            disk.exclusive = Some(Known::Is(!self.open));
            let sum = stead_plan::inventory::sha256(format!("{:?}{:?}", self.other, self.header));
            let own = self.other.as_deref().is_none_or(|other| other == HALF);
            let data = if own { Ends::Head(sum) } else { Ends::Data(sum) };
            disk.ends = Some(Known::Is(if empty { Ends::Zero } else { data }));
        }
        disk
    }
}

impl Header {
    fn token(&self) -> Option<(u8, Value)> {
        self.tokens.iter().find(|(_, token)| token["type"] == "stead").map(|(id, token)| (*id, token.clone()))
    }

    fn tell(&self) -> Luks {
        let bound = |(slot, key): (&u8, &Key)| match key {
            Key::Bound(bound, true) => Some((*slot, Known::Is(bound.clone()))),
            _ => None,
        };
        Luks {
            state: self.state(),
            label: self.label.clone(),
            keyslots: self.slots.keys().copied().collect(),
            bindings: self.slots.iter().filter_map(bound).collect(),
            tokens: self.tokens.keys().copied().collect(),
            token: self.token(),
        }
    }
}

/// What clevis makes of a policy; a tang that doesn't answer, or as another one, ends it.
fn encrypt(policy: &Value, around: &Around<'_>) -> Result<Bound, String> {
    if let (Some(url), Some(thp)) = (policy["url"].as_str(), policy["thp"].as_str()) {
        let signed_by = (around.answers)(url).ok_or_else(|| format!("Unable to fetch advertisement: '{url}'!"))?;
        if !signed_by.iter().any(|key| key.to_string() == thp) {
            return Err(format!("Trusted JWK '{thp}' did not sign the advertisement!"));
        }
        return Ok(Bound::Tang { url: url.to_owned(), signed_by });
    }
    let of = policy["t"].as_u64().ok_or("no threshold")?;
    let pins = policy["pins"]
        .as_object()
        .ok_or("no pins")?
        .values()
        .flat_map(|pins| pins.as_array().cloned().unwrap_or_default());
    let mut pins = pins.map(|pin| encrypt(&pin, around)).collect::<Result<Vec<_>, _>>()?;
    pins.sort();
    Ok(Bound::Some { of, pins })
}

/// Whether those answer who open it: with a key that it was bound to.
fn is_met(bound: &Bound, around: &Around<'_>) -> bool {
    match bound {
        Bound::Some { of, pins } => pins.iter().filter(|pin| is_met(pin, around)).count() as u64 >= *of,
        // It answers for what it doesn't advertise any more, so who it is doesn't matter here; that keys are taken away
        // too early is found by their names.
        Bound::Tang { url, .. } => (around.answers)(url).is_some(),
        Bound::Other(_) => false,
    }
}
