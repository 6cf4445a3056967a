//! Messages and descriptors over a Unix stream socket.
//!
//! A frame is four bytes of length, big-endian, and JSON. Descriptors travel
//! with the first byte of the length (SCM_RIGHTS).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
};

use super::Message;

/// Most descriptors in one frame: listeners on a few addresses each.
pub(super) const MAX_DESCRIPTORS: usize = 32;

/// No frame is larger; 100,000 routes have about 30 MiB.
const MAX_FRAME: usize = 256 * 1024 * 1024;

/// One end of a hand-over.
#[derive(Debug)]
pub(crate) struct Link(UnixStream);

/// Why the two do not understand each other.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the other process closed the connection")]
    Closed,
    #[error("the connection failed")]
    Io(#[source] io::Error),
    #[error("the other process speaks another language")]
    Foreign(#[source] serde_json::Error),
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    #[error("the other process said {got:?} instead of {wanted:?}")]
    Unexpected { wanted: &'static str, got: &'static str },
    #[error("{0} sockets are more than can be handed over")]
    TooMany(usize),
}

impl Link {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Both ends of a fresh link; the second is for another process.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self(UnixStream::from_std(ours)?), theirs.into()))
    }

    pub(super) async fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        self.send_with(message, &[]).await
    }

    pub(super) async fn send_with(
        &mut self,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), LinkError> {
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(LinkError::TooMany(descriptors.len()));
        }
        let json = serde_json::to_vec(message).map_err(LinkError::Foreign)?;
        let len = u32::try_from(json.len()).map_err(|_| LinkError::TooLong(json.len()))?;
        let mut frame = len.to_be_bytes().to_vec();
        frame.extend(json);
        let sent = self
            .0
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); SPACE];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !descriptors.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(descriptors));
                }
                let flags = SendFlags::NOSIGNAL;
                Ok(sendmsg(&self.0, &[IoSlice::new(&frame)], &mut control, flags)?)
            })
            .await
            .map_err(LinkError::Io)?;
        self.0.write_all(&frame[sent..]).await.map_err(LinkError::Io)
    }

    pub(super) async fn receive(&mut self) -> Result<(Message, Vec<OwnedFd>), LinkError> {
        let mut len = [0; 4];
        let mut descriptors = Vec::new();
        let mut have = 0;
        while have < len.len() {
            let got = self
                .0
                .async_io(Interest::READABLE, || {
                    let mut space = [MaybeUninit::uninit(); SPACE];
                    let mut control = RecvAncillaryBuffer::new(&mut space);
                    let mut buffers = [IoSliceMut::new(&mut len[have..])];
                    let flags = RecvFlags::CMSG_CLOEXEC;
                    let got = recvmsg(&self.0, &mut buffers, &mut control, flags)?;
                    for message in control.drain() {
                        if let RecvAncillaryMessage::ScmRights(received) = message {
                            descriptors.extend(received);
                        }
                    }
                    Ok(got.bytes)
                })
                .await
                .map_err(LinkError::Io)?;
            if got == 0 {
                return Err(LinkError::Closed);
            }
            have += got;
        }
        let len = u32::from_be_bytes(len) as usize;
        if len > MAX_FRAME {
            return Err(LinkError::TooLong(len));
        }
        let mut json = Vec::new();
        let mut rest = (&mut self.0).take(len as u64);
        rest.read_to_end(&mut json).await.map_err(LinkError::Io)?;
        if json.len() < len {
            return Err(LinkError::Closed);
        }
        let message = serde_json::from_slice(&json).map_err(LinkError::Foreign)?;
        Ok((message, descriptors))
    }

    /// Waits until the other end is gone. For the end that is told nothing more.
    pub(crate) async fn closed(&self) {
        loop {
            if self.0.readable().await.is_err() {
                return;
            }
            match self.0.try_read(&mut [0; 64]) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

/// Room for the descriptors of one frame.
const SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));
