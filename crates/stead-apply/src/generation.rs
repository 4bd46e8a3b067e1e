//! What nodes keep of a cluster: its file and its sealed secrets, and the digest that tells two of them apart.

use sha2::Digest as _;
use stead_node::protocol::{Answer, Kept, Request};
use stead_spec::units::Sha256;

use crate::reach::{Link, Lost};
use crate::secrets::Sealed;

/// The digest of a generation's texts: the cluster file as it is, byte by byte, and the records of the sealed secrets.
///
/// `secrets` is `stead.secrets` without what changes from apply to apply (the header with its ancestors), in the normal
/// form of whoever reads that file.
pub fn digest(file: &str, secrets: &str) -> Sha256 {
    let mut hash = sha2::Sha256::new();
    // With its length before each text, no byte can wander from one to the other and leave the digest as it was.
    for text in [file, secrets] {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    <[u8; 32]>::from(hash.finalize()).into()
}

/// The generation that a node keeps, with its texts, for an admin who has neither. `None`: it keeps none.
///
/// # Errors
/// The connection is lost, or the node refuses.
pub async fn fetch(link: &mut impl Link) -> Result<Option<Kept>, Lost> {
    match link.ask(Request::Fetch, &mut |_| ()).await? {
        Answer::Fetched(kept) => Ok(kept.map(|kept| *kept)),
        answer => Err(Lost::unexpected(answer)),
    }
}

/// Whether a generation's texts are the ones that have this digest.
pub fn is_whole(kept: &Kept, wanted: &Sha256) -> bool {
    let Ok((spec, _)) = stead_spec::parse("stead.toml", kept.file.as_bytes()) else { return false };
    let sealed = Sealed::parse(&kept.secrets, &spec.cluster().id);
    sealed.is_ok_and(|sealed| digest(&kept.file, &sealed.records_text()) == *wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_both_texts_and_where_they_part() {
        let this = digest("ab", "c");
        assert_eq!(this, digest("ab", "c"));
        for (file, secrets) in [("a", "bc"), ("abc", ""), ("", "abc"), ("c", "ab"), ("ab", "c\n"), ("ab\n", "c")] {
            assert_ne!(this, digest(file, secrets), "{file:?} {secrets:?}");
        }
    }

    #[test]
    fn the_digest_stays_what_it_is() {
        // Nodes out there keep generations by it: two lengths of eight bytes, then nothing more.
        let zeros = "374708fff7719dd5979ec875d56cd2286f6d3cf7ec317a3b25632aab28ec37bb";
        assert_eq!(digest("", "").to_string(), zeros);
    }
}
