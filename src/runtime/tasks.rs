//! What workers have the control thread do, since it waits: dialling, and taking leave.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::admission::Permit;
use crate::topology::EndpointId;

use super::current::Current;
use super::detached::DetachedSocket;
use super::dial::{self, BackendSocket, DialOutcome};
use super::linger;

/// See the module. Each task is bounded in time, by a timeout of its own.
#[derive(Debug, Clone)]
pub struct ControlTasks {
    runtime: Handle,
    /// Places for clients that are being closed.
    lingering: Arc<Semaphore>,
}

impl ControlTasks {
    /// Those of the runtime that this is called in.
    pub fn here() -> Self {
        Self {
            runtime: Handle::current(),
            lingering: Arc::new(Semaphore::new(linger::CLIENTS_MAX)),
        }
    }

    /// Connects to `endpoint` with `permit`, and has `done` hear what came of it.
    pub fn dial(
        &self,
        current: Arc<Current>,
        endpoint: EndpointId,
        permit: Permit,
        done: impl FnOnce(DialOutcome) + Send + 'static,
    ) {
        self.runtime
            .spawn(async move { done(dial::dial_detached(&current, endpoint, permit).await) });
    }

    /// Ends a connection to the server, and waits for the server's end of it.
    pub fn close_backend(&self, socket: BackendSocket<DetachedSocket>) {
        self.runtime.spawn(async move {
            if let Ok(socket) = socket.map(DetachedSocket::attach) {
                dial::close_gracefully(socket).await;
            }
        });
    }

    /// Ends a client's connection, which may still be sending.
    pub fn close_client(&self, socket: DetachedSocket) {
        let places = Arc::clone(&self.lingering);
        self.runtime
            .spawn(async move { linger::close_client(socket, &places).await });
    }
}
