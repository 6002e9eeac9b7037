//! `AUTH` in mode `none`: narrows logs in to the server with its own credentials and asks
//! clients for none, so towards them it behaves as a Redis whose default user has no password.

use crate::resp::Refusal;

/// What `AUTH [username] password` answers where the default user needs no password
/// (`authCommand`, acl.c): a lone password is an error that says so, the default user
/// accepts any, everybody else is unknown.
pub fn without_clients_passwords(
    user: Option<&[u8]>,
    _password: &[u8],
) -> Result<(), Refusal<'static>> {
    match user {
        None => Err(Refusal::AuthWithoutPassword),
        Some(b"default") => Ok(()),
        Some(_) => Err(Refusal::WrongPass),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_user_is_known() {
        assert!(without_clients_passwords(Some(b"default"), b"x").is_ok());
        assert!(without_clients_passwords(Some(b"alice"), b"x").is_err());
        assert!(without_clients_passwords(None, b"x").is_err());
    }
}
