//! `AUTH` in mode `none`: narrows logs in to the server with its own credentials and asks
//! clients for none, so towards them it behaves as a Redis whose default user has no password. Who
//! brings narrows' own credential is told that it is right: the address of a service that still holds
//! the server's password goes on working.

use subtle::ConstantTimeEq;

use super::access::BackendLogin;
use crate::resp::Refusal;

/// What a login comes to.
#[derive(Debug)]
pub enum AuthAnswer {
    /// `+OK`.
    Right,
    /// This error.
    Wrong(Refusal<'static>),
    /// This error, and somebody may be guessing narrows' own password.
    Guess(Refusal<'static>),
}

/// What `AUTH [username] password` answers. Beside narrows' `own` credential it is as where the
/// default user needs no password (`authCommand`, acl.c): a lone password is an error that says so,
/// the default user accepts any, everybody else is unknown.
pub fn without_clients_passwords(login: &BackendLogin, own: &BackendLogin) -> AuthAnswer {
    let wrong = match login.user.as_deref() {
        Some(b"default") => return AuthAnswer::Right,
        None => Refusal::AuthWithoutPassword,
        Some(_) => Refusal::WrongPass,
    };
    let name = |login: &BackendLogin| login.user.clone().unwrap_or_else(|| b"default"[..].into());
    match (&own.password, &login.password) {
        (Some(own_password), Some(password)) if name(own) == name(login) => {
            // The time it takes tells nothing about the password.
            match bool::from(own_password.ct_eq(password)) {
                true => AuthAnswer::Right,
                false => AuthAnswer::Guess(wrong),
            }
        }
        _ => AuthAnswer::Wrong(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: Option<&str>, password: Option<&str>) -> BackendLogin {
        let bytes = |text: &str| text.as_bytes().into();
        BackendLogin {
            user: user.map(bytes),
            password: password.map(bytes),
        }
    }

    fn answer(user: Option<&str>, password: &str, own: &BackendLogin) -> &'static str {
        match without_clients_passwords(&login(user, Some(password)), own) {
            AuthAnswer::Right => "right",
            AuthAnswer::Wrong(_) => "wrong",
            AuthAnswer::Guess(_) => "guess",
        }
    }

    #[test]
    fn without_credentials_of_narrows_own_only_the_default_user_is_known() {
        let own = login(None, None);
        assert_eq!(answer(Some("default"), "x", &own), "right");
        assert_eq!(answer(Some("alice"), "x", &own), "wrong");
        assert_eq!(answer(None, "x", &own), "wrong");
    }

    #[test]
    fn who_brings_narrows_own_credential_is_right() {
        for user in [None, Some("default")] {
            let own = login(user, Some("pw"));
            assert_eq!(answer(None, "pw", &own), "right");
            assert_eq!(answer(None, "pw2", &own), "guess");
            assert_eq!(answer(Some("alice"), "pw", &own), "wrong");
        }
        let own = login(Some("app"), Some("pw"));
        assert_eq!(answer(Some("app"), "pw", &own), "right");
        assert_eq!(answer(Some("app"), "", &own), "guess");
        assert_eq!(answer(None, "pw", &own), "wrong");
    }
}
