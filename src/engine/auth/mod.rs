//! Logins that the server is asked about.

pub mod login_checks;

use self::login_checks::LoginChecks;

/// See the module.
#[derive(Default)]
pub struct Auth {
    /// Logins that the server is to check.
    pub logins: LoginChecks,
}
