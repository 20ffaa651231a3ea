//! Who may come in: so many at a time, and so many from one address.

use std::collections::HashMap;
use std::io::{self, IoSlice, Write};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Notice, Noticed, ServerConfig};

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Connection: close\r\nContent-Length: 0\r\n\r\n";

/// Counts who is inside.
#[derive(Clone)]
pub(crate) struct Door(Arc<Shared>);

/// One who is inside; leaves when dropped.
pub(crate) struct Guest {
    door: Door,
    address: IpAddr,
}

/// A connection that counts for as long as its socket lives, whoever holds that.
pub(crate) struct Held<S> {
    stream: S,
    _guest: Guest,
}

struct Shared {
    max: usize,
    per_address_max: Option<usize>,
    inside: Mutex<Inside>,
    notice: Notice,
}

#[derive(Default)]
struct Inside {
    all: usize,
    /// Kept only if there is a limit for each.
    by_address: HashMap<IpAddr, usize>,
}

impl Door {
    pub(crate) fn new(config: &ServerConfig, notice: Notice) -> Self {
        Self(Arc::new(Shared {
            max: config.connections_max,
            per_address_max: config.connections_per_address_max,
            inside: Mutex::default(),
            notice,
        }))
    }

    /// Lets one in, if there is room.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Guest> {
        let admitted = self.count(address);
        let noticed = if admitted {
            Noticed::ConnectionOpened
        } else {
            Noticed::ConnectionRefused
        };
        (self.0.notice)(noticed);
        admitted.then(|| Guest {
            door: self.clone(),
            address,
        })
    }

    fn count(&self, address: IpAddr) -> bool {
        let mut inside = self.0.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= self.0.max {
            return false;
        }
        if let Some(max) = self.0.per_address_max {
            let here = inside.by_address.entry(address).or_default();
            if *here >= max {
                return false;
            }
            *here += 1;
        }
        inside.all += 1;
        true
    }
}

impl Guest {
    /// Gives the place to a connection.
    pub(crate) fn holding<S>(self, stream: S) -> Held<S> {
        Held {
            stream,
            _guest: self,
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let shared = &self.door.0;
        let mut inside = shared.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        if let Some(here) = inside.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                inside.by_address.remove(&self.address);
            }
        }
        drop(inside);
        (shared.notice)(Noticed::ConnectionClosed);
    }
}

/// Says that there is no room, as far as that goes without waiting.
pub(crate) fn refuse(stream: TcpStream, tls: bool) {
    // The runtime does not know yet that a new socket can be written to; the system does.
    let said = stream
        .into_std()
        .and_then(|mut stream| if tls { Ok(0) } else { stream.write(BUSY) });
    if let Err(error) = said {
        tracing::debug!(%error, "A connection was refused without a word.");
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
