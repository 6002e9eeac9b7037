//! Bytes as a server's reply to `COMMAND`. Nothing panics; narrows' own rows keep their word on
//! route and keys and gain no replay; what the server alone has is never replayed; and a request
//! for any row finds one.

use std::sync::OnceLock;

use narrows::command::CommandTable;

/// The target.
pub fn run(data: &[u8]) {
    static BUILTIN: OnceLock<CommandTable> = OnceLock::new();
    let ours = BUILTIN.get_or_init(CommandTable::builtin);
    let Ok(learned) = ours.learned(data) else {
        return;
    };
    assert!(learned.is_learned());
    for spec in ours.specs() {
        let Some(now) = learned.named(spec.name.as_bytes()) else {
            panic!("{} has lost its row", spec.name);
        };
        assert_eq!((now.route, now.keys), (spec.route, spec.keys));
        assert!(!now.replay || spec.replay, "{} is replayed", now.name);
    }
    for spec in learned.specs().filter(|spec| spec.replay) {
        let known = ours.named(spec.name.as_bytes()).is_some();
        assert!(known, "{} is replayed", spec.name);
    }
}
