//! Cables to QEMU: `-netdev stream` on a unix socket, each frame behind its length in four bytes, big-endian.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{Frame, Plug};

/// The longest frame that is believed, in bytes: a NIC with offloads sends up to 64 KiB at once.
const MAX_FRAME: u32 = 256 << 10;

/// How long to wait when no connection can be taken.
pub(crate) const RETRY: Duration = Duration::from_millis(100);

/// How many frames are written at once.
const BATCH: usize = 64;

/// Connects whatever comes to `listener` with `plug`, one after the other: a node that is switched on again.
///
/// Frames for a node that is off are lost.
pub async fn serve(listener: UnixListener, mut plug: Plug) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // However the connection ends, the node is off, and what comes next is its next start.
                Ok((stream, _)) => drop(carry(stream, &mut plug).await),
                // Out of file descriptors, for instance: it may pass.
                Err(_) => tokio::time::sleep(RETRY).await,
            },
            frame = plug.rx.recv() => if frame.is_none() { return },
        }
    }
}

/// Carries frames both ways until one end is gone.
pub async fn carry(mut stream: UnixStream, plug: &mut Plug) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let (rx, tx) = (&mut plug.rx, &plug.tx);
    let inbound = async {
        let mut read = BufReader::with_capacity(128 << 10, read);
        loop {
            let len = read.read_u32().await?;
            if len > MAX_FRAME {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut frame = vec![0; len as usize];
            read.read_exact(&mut frame).await?;
            // Waiting here lets the NIC wait, which is what a busy wire does.
            tx.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
    };
    let outbound = async {
        let mut frames: Vec<Frame> = Vec::new();
        let mut bytes = Vec::new();
        while rx.recv_many(&mut frames, BATCH).await > 0 {
            bytes.clear();
            for frame in frames.drain(..) {
                let len = u32::try_from(frame.len()).map_err(io::Error::other)?;
                bytes.extend(len.to_be_bytes());
                bytes.extend(frame);
            }
            write.write_all(&bytes).await?;
        }
        Ok(())
    };
    tokio::select! {
        result = inbound => result,
        result = outbound => result,
    }
}
