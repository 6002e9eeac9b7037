//! Logins that the server is asked about.

mod login_checks;

pub use self::login_checks::{Auth, LoginCheck};
