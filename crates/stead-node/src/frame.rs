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
    /// These bytes are no message: something else writes to this stream.
    #[error("this is no message of stead's: {0}")]
    Garbage(String),
}

/// Writes one message and flushes it.
pub async fn write<M: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &M) -> Result<(), FrameError> {
    let body = serde_json::to_vec(message).map_err(|error| FrameError::Garbage(error.to_string()))?;
    let too_long = |_| FrameError::Garbage(format!("{} bytes are too many", body.len()));
    let length = u32::try_from(body.len()).map_err(too_long)?;
    if length > LARGEST {
        return Err(FrameError::Garbage(format!("{length} bytes are too many")));
    }
    let bytes = [&length.to_be_bytes()[..], &body].concat();
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
