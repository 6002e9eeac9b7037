//! The admin endpoints: `/metrics`, `/healthz` and `/readyz` over HTTP, on an address of their own.
//! They run on a thread of their own, so that whatever is asked here, however slowly it is read,
//! holds up neither control nor traffic. Read-only: nothing can be changed from here.

mod guests;
mod routes;
mod server;
pub mod settings;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::runtime::Observer;

/// An open address, not served yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    /// Where it listens: the port is the real one where 0 was asked for.
    pub address: SocketAddr,
}

impl Admin {
    /// Opens `address`, before anything else is started that would have to be ended again.
    ///
    /// # Errors
    /// It cannot be listened on.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Serves what `observer` sees until the process ends.
    ///
    /// # Errors
    /// There can be no thread or event loop for it.
    pub fn serve(self, observer: Arc<Observer>) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name("admin".to_owned());
        thread.spawn(move || {
            if let Err(error) = runtime.block_on(server::run(self.listener, observer)) {
                tracing::error!(%error, "the admin endpoints cannot be served");
            }
        })?;
        Ok(())
    }
}
