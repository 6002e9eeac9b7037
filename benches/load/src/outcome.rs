//! What an error reply says about its request: narrows' own errors and Redis', by their first words.

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran and its reply was verified.
    Done,
    /// It certainly did not run.
    NotRun,
    /// It may have run, may still run, or may never run; at most once in any case.
    Unknown,
}

/// The outcome that an error reply tells, without its `-`.
pub(crate) fn of_error(text: &[u8]) -> Outcome {
    let says_may_have_run = text.windows(MAY_HAVE_RUN.len()).any(|w| w == MAY_HAVE_RUN);
    if says_may_have_run {
        return Outcome::Unknown;
    }
    if NOT_RUN.iter().any(|words| text.starts_with(words)) {
        return Outcome::NotRun;
    }
    Outcome::Unknown
}

/// Errors that no request of the load may get, in any weather: the request was mangled, or
/// carried out upon something else than it named.
pub(crate) fn is_offence(text: &[u8]) -> bool {
    OFFENCES.iter().any(|words| text.starts_with(words))
}

/// The first words of an error, under which it is counted.
pub(crate) fn first_words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut words: Vec<&str> = text.split_whitespace().take(WORDS).collect();
    if let [first, ..] = words.as_mut_slice() {
        *first = first.trim_end_matches(',');
    }
    words.join(" ").chars().take(WORD_CHARS_MAX).collect()
}

const MAY_HAVE_RUN: &[u8] = b"may have run";

const NOT_RUN: &[&[u8]] = &[
    b"TRYAGAIN ",
    b"LOADING ",
    b"OOM ",
    b"READONLY ",
    b"MISCONF ",
    b"NOREPLICAS ",
    b"BUSY ",
    b"MASTERDOWN ",
    b"CLUSTERDOWN ",
    b"NOAUTH ",
    b"NOPERM ",
    b"DENIED ",
    b"ERR narrows: ",
    b"ERR max number of clients reached",
];

const OFFENCES: &[&[u8]] = &[
    b"WRONGTYPE ",
    b"ERR Protocol error",
    b"ERR wrong number of arguments",
    b"ERR value is not an integer",
    b"ERR unknown command",
    b"ERR syntax error",
];

const WORDS: usize = 8;
const WORD_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_narrows_and_redis_tell_whether_a_request_ran() {
        for (text, outcome) in [
            ("TRYAGAIN narrows: no backend is connected", Outcome::NotRun),
            (
                "ERR narrows: backend connection lost; the command may have run",
                Outcome::Unknown,
            ),
            (
                "ERR narrows: 'x' needs a connection of its own",
                Outcome::NotRun,
            ),
            ("OOM command not allowed when used memory", Outcome::NotRun),
            (
                "LOADING Redis is loading the dataset in memory",
                Outcome::NotRun,
            ),
            ("ERR something nobody knows", Outcome::Unknown),
        ] {
            assert_eq!(of_error(text.as_bytes()), outcome, "{text}");
        }
        assert!(is_offence(b"ERR Protocol error: invalid bulk length"));
        assert!(!is_offence(b"ERR narrows: x"));
    }
}
