//! What the machine lends a run: descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process' limit of descriptors to its hard limit; what it may have now.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // When it cannot be raised, the current one is what counts.
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    now.unwrap_or(u64::MAX)
}
