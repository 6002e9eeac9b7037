//! Keys of what the engine stores. Each carries a generation, so that a late reply or
//! event cannot reach whatever took the place of a client or backend that is gone.

slotmap::new_key_type! {
    /// A client of this worker.
    pub struct ClientId;
    /// A backend connection of this worker, being dialled or open.
    pub struct BackendId;
    /// A context of this worker: what a backend must be set to for a client's commands.
    pub struct ContextId;
    /// A login that the server is to check.
    pub struct LoginId;
}
