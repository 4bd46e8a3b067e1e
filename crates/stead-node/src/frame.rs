//! Messages on a stream of bytes: a length of four bytes, big-endian, then that much JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest message: an inventory of a full node has 300 KiB.
const LARGEST: u32 = 16 << 20;

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream ended between messages, or broke.
    #[error("the connection ended")]
    Ended(#[source] std::io::Error),
    /// These bytes are no message: something else writes to this stream. Of a message that can't be sent, nothing was.
    #[error("this is no message of stead's: {0}")]
    Garbage(String),
}

/// Writes one message and flushes it.
pub async fn write<M: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &M) -> Result<(), FrameError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(|error| FrameError::Garbage(error.to_string()))?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length <= LARGEST);
    let length = length.ok_or_else(|| FrameError::Garbage(format!("{} bytes are too many", bytes.len() - 4)))?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&bytes).await.map_err(FrameError::Ended)?;
    stream.flush().await.map_err(FrameError::Ended)
}

/// Reads one message. Not safe to cancel: half of one may be read.
pub async fn read<M: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> Result<M, FrameError> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(FrameError::Ended)?;
    let length = u32::from_be_bytes(head);
    if length > LARGEST {
        return Err(FrameError::Garbage(format!("it begins with {:?}", String::from_utf8_lossy(&head))));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.map_err(FrameError::Ended)?;
    serde_json::from_slice(&body).map_err(|error| FrameError::Garbage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_from(mut bytes: &[u8]) -> Result<Vec<String>, FrameError> {
        read(&mut bytes).await
    }

    #[tokio::test]
    async fn messages_come_as_they_went() {
        let mut stream = Vec::new();
        let messages = [vec!["a".to_owned(), "ü\n\"".to_owned()], vec![], vec!["x".repeat(1 << 20)]];
        for message in &messages {
            write(&mut stream, message).await.unwrap();
        }
        let mut stream = stream.as_slice();
        for message in &messages {
            assert_eq!(&read::<Vec<String>>(&mut stream).await.unwrap(), message);
        }
        assert!(matches!(read::<Vec<String>>(&mut stream).await, Err(FrameError::Ended(_))));
    }

    #[tokio::test]
    async fn half_a_message_is_an_end() {
        let mut stream = Vec::new();
        write(&mut stream, &["word"]).await.unwrap();
        for length in 0..stream.len() {
            assert!(matches!(read_from(&stream[..length]).await, Err(FrameError::Ended(_))), "{length} bytes");
        }
        assert_eq!(read_from(&stream).await.unwrap(), ["word"]);
    }

    #[tokio::test]
    async fn what_is_no_message_is_told_apart() {
        let banner = read_from(b"Last login: Thu Jan  1").await.unwrap_err().to_string();
        assert_eq!(banner, r#"this is no message of stead's: it begins with "Last""#);
        assert!(matches!(read_from(b"\0\0\0\x02{]").await, Err(FrameError::Garbage(_))));
    }

    #[tokio::test]
    async fn of_a_message_that_is_too_long_nothing_goes() {
        let mut stream = Vec::new();
        let error = write(&mut stream, &"x".repeat(LARGEST as usize)).await.unwrap_err();
        assert!(matches!(error, FrameError::Garbage(_)), "{error}");
        assert!(stream.is_empty());
    }
}
