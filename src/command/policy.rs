//! What the operator allows, denies and sends to connections of their own: lists of command names
//! from the configuration, parsed once, asked per request. It knows names and routes, not clients.

use super::class::Route;
use super::lookup::CommandTable;
use super::pattern::{EntryMistake, PATTERN_BYTES_MAX, Pattern};
use super::rename::{Renames, shown};
use super::spec::Spec;

/// The operator's lists. Each entry is a command (`debug`), a subcommand (`client|kill`) or, with a
/// `*` at its end, all names that begin so (`FT.*`); letters in any case. A container stands for
/// its subcommands too.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PolicySettings {
    /// Restricted commands that may be used all the same. It takes nothing away from the others.
    pub allow: Vec<String>,
    /// Commands that are refused, whatever `allow` says.
    pub deny: Vec<String>,
    /// Commands that hold up their connection: they run apart from everybody else's.
    pub dedicated: Vec<String>,
    /// Commands that the server knows by another name, as `CONFIG=name-at-the-server`.
    pub rename: Vec<String>,
    /// Whether scripts may be used where a rule does not hold inside them.
    pub scripts: Scripts,
}

/// What becomes of scripts, whose commands narrows does not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scripts {
    /// They are refused to whoever has rules that scripts would get round.
    #[default]
    Guarded,
    /// They may be used, and get round those rules.
    Allowed,
}

impl std::fmt::Debug for PolicySettings {
    /// Never shows what the server calls its commands.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rename: Vec<String> = self.rename.iter().map(|entry| shown(entry)).collect();
        f.debug_struct("PolicySettings")
            .field("allow", &self.allow)
            .field("deny", &self.deny)
            .field("dedicated", &self.dedicated)
            .field("rename", &rename)
            .finish_non_exhaustive()
    }
}

/// The operator's lists, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    dedicated: Vec<Pattern>,
    renames: Renames,
    scripts: Scripts,
    /// There is a rule that scripts would get round.
    is_evaded: bool,
}

/// Whether a command may be used here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PolicyVerdict {
    /// It may.
    Allowed,
    /// The operator denies it, or it is restricted and not allowed by name.
    Denied,
    /// It runs a script, in which a rule of the operator's does not hold.
    Evades,
}

impl Policy {
    /// Parses the lists; all mistakes at once.
    pub fn new(settings: &PolicySettings) -> Result<Policy, Vec<EntryMistake>> {
        let mut mistakes = Vec::new();
        let mut parse = |list, entries: &[String]| -> Vec<Pattern> {
            let mut patterns = Vec::new();
            for entry in entries {
                match Pattern::parse(entry) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(why) => mistakes.push(EntryMistake {
                        list,
                        entry: entry.clone(),
                        why,
                    }),
                }
            }
            patterns
        };
        let allow = parse("commands.allow", &settings.allow);
        let deny = parse("commands.deny", &settings.deny);
        let policy = Policy {
            scripts: settings.scripts,
            is_evaded: deny.iter().any(Pattern::is_evaded),
            allow,
            deny,
            dedicated: parse("commands.dedicated", &settings.dedicated),
            renames: Renames::new(&settings.rename).unwrap_or_else(|found| {
                mistakes.extend(found);
                Renames::default()
            }),
        };
        if mistakes.is_empty() {
            Ok(policy)
        } else {
            Err(mistakes)
        }
    }

    /// The same where another rule than these lists does not hold inside scripts.
    #[must_use]
    pub fn evaded(mut self) -> Self {
        self.is_evaded = true;
        self
    }

    /// Whether a rule does not hold inside scripts.
    pub fn is_evaded(&self) -> bool {
        self.is_evaded
    }

    /// Whether scripts are refused.
    #[inline]
    fn refuses_scripts(&self) -> bool {
        self.is_evaded && self.scripts == Scripts::Guarded
    }

    /// Whether a command may be used.
    #[inline]
    pub fn verdict(&self, spec: &Spec) -> PolicyVerdict {
        let denied = any(&self.deny, &spec.name);
        if denied || spec.route == Route::Restricted && !any(&self.allow, &spec.name) {
            PolicyVerdict::Denied
        } else if self.refuses_scripts() && runs_scripts(&spec.name) {
            PolicyVerdict::Evades
        } else {
            PolicyVerdict::Allowed
        }
    }

    /// Whether a command may be used and travels as its row says, without a look at any list: what
    /// is true of nearly all of them in nearly every configuration.
    #[inline]
    pub fn leaves_alone(&self, spec: &Spec) -> bool {
        self.deny.is_empty()
            && !self.is_evaded
            && self.dedicated.is_empty()
            && spec.route != Route::Restricted
    }

    /// Whether a command that has no row may be used, or a subcommand that has none.
    pub fn verdict_of_unknown(&self, name: &[u8], subcommand: Option<&[u8]>) -> PolicyVerdict {
        // What is cut off is longer than any pattern, so it cannot change the answer.
        let cut = |text: &[u8]| {
            let text = text.get(..PATTERN_BYTES_MAX + 1).unwrap_or(text);
            String::from_utf8_lossy(text).to_ascii_lowercase()
        };
        let full = match subcommand {
            None => cut(name),
            Some(subcommand) => format!("{}|{}", cut(name), cut(subcommand)),
        };
        if any(&self.deny, &full) {
            PolicyVerdict::Denied
        } else if self.refuses_scripts() && runs_scripts(&full) {
            PolicyVerdict::Evades
        } else {
            PolicyVerdict::Allowed
        }
    }

    /// Whether a command is to run apart from everybody else's.
    #[inline]
    pub fn is_dedicated(&self, spec: &Spec) -> bool {
        any(&self.dedicated, &spec.name)
    }

    /// What the server calls differently.
    #[inline]
    pub fn renames(&self) -> &Renames {
        &self.renames
    }

    /// The entries that name no command of this table, for a warning: they may be mistyped.
    pub fn unmatched<'a>(&'a self, table: &'a CommandTable) -> impl Iterator<Item = &'a str> {
        let patterns = self.allow.iter().chain(&self.deny).chain(&self.dedicated);
        patterns
            .filter(|pattern| !table.specs().any(|spec| pattern.matches(&spec.name)))
            .map(|pattern| &*pattern.entry)
    }
}

#[inline]
fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// Whether a command has the server run others that narrows does not see, or leaves it some to be run
/// by somebody else later.
fn runs_scripts(name: &str) -> bool {
    let is = |known: &str| match known.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => {
            let rest = name.strip_prefix(known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        }
    };
    SCRIPTS.iter().any(|known| is(known))
}

/// Scripts and functions, and those of modules: RedisGears (`TFCALL`, `RG.…`) and RedisAI.
const SCRIPTS: [&str; 14] = [
    "eval",
    "evalsha",
    "eval_ro",
    "evalsha_ro",
    "fcall",
    "fcall_ro",
    "script|load",
    "function|load",
    "function|restore",
    "tfcall*",
    "tfunction",
    "rg.*",
    "ai.script*",
    "ai.dag*",
];

#[cfg(test)]
mod tests {
    use super::{Policy, PolicySettings, PolicyVerdict, Scripts};
    use crate::command::CommandTable;

    fn policy(allow: &[&str], deny: &[&str], dedicated: &[&str]) -> Policy {
        let owned = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect();
        let settings = PolicySettings {
            allow: owned(allow),
            deny: owned(deny),
            dedicated: owned(dedicated),
            ..PolicySettings::default()
        };
        Policy::new(&settings).unwrap()
    }

    fn verdict(policy: &Policy, name: &str) -> PolicyVerdict {
        policy.verdict(CommandTable::builtin().named(name.as_bytes()).unwrap())
    }

    #[test]
    fn restricted_commands_are_refused_unless_allowed() {
        let closed = Policy::default();
        let open = policy(&["Shutdown", "DEBUG"], &[], &[]);
        for name in ["shutdown", "debug"] {
            assert_eq!(verdict(&closed, name), PolicyVerdict::Denied);
            assert_eq!(verdict(&open, name), PolicyVerdict::Allowed);
        }
        assert_eq!(verdict(&open, "failover"), PolicyVerdict::Denied);
        assert_eq!(verdict(&closed, "get"), PolicyVerdict::Allowed);
    }

    #[test]
    fn deny_wins_over_allow() {
        assert_eq!(
            verdict(&policy(&["debug"], &["debug"], &[]), "debug"),
            PolicyVerdict::Denied
        );
    }

    #[test]
    fn a_container_stands_for_its_subcommands() {
        let policy = policy(&[], &["CONFIG", "client|kill", "acl|*"], &[]);
        for denied in ["config", "config|set", "client|kill", "acl|setuser"] {
            assert_eq!(verdict(&policy, denied), PolicyVerdict::Denied, "{denied}");
        }
        for allowed in ["client", "client|list", "acl"] {
            assert_eq!(
                verdict(&policy, allowed),
                PolicyVerdict::Allowed,
                "{allowed}"
            );
        }
    }

    #[test]
    fn a_prefix_is_no_match_without_its_star() {
        let policy = policy(&[], &["get", "z*"], &[]);
        assert_eq!(verdict(&policy, "getex"), PolicyVerdict::Allowed);
        assert_eq!(verdict(&policy, "zadd"), PolicyVerdict::Denied);
        assert_eq!(verdict(&policy, "bzpopmin"), PolicyVerdict::Allowed);
    }

    #[test]
    fn commands_without_a_row_are_denied_too() {
        let policy = policy(&[], &["FT.*", "client|telepathy"], &[]);
        assert_eq!(
            policy.verdict_of_unknown(b"ft.Search", None),
            PolicyVerdict::Denied
        );
        assert_eq!(
            policy.verdict_of_unknown(b"ft", None),
            PolicyVerdict::Allowed
        );
        assert_eq!(
            policy.verdict_of_unknown(b"Client", Some(b"TELEPATHY")),
            PolicyVerdict::Denied
        );
        assert_eq!(
            policy.verdict_of_unknown(b"client", Some(&[b'x'; 1000])),
            PolicyVerdict::Allowed
        );
        assert_eq!(
            policy.verdict_of_unknown(&[0xff, b'\r'], None),
            PolicyVerdict::Allowed
        );
    }

    #[test]
    fn scripts_are_refused_where_they_would_get_round_a_rule() {
        let scripts = [
            "eval",
            "evalsha",
            "eval_ro",
            "evalsha_ro",
            "fcall",
            "fcall_ro",
            "script|load",
            "function|load",
            "function|restore",
        ];
        for deny in [
            &["FLUSHALL"][..],
            &["flush*"],
            &["ft.*"],
            &["get", "config"],
            &["*"],
        ] {
            let guarded = policy(&[], deny, &[]);
            assert!(guarded.is_evaded(), "{deny:?}");
            for name in scripts {
                assert_ne!(
                    verdict(&guarded, name),
                    PolicyVerdict::Allowed,
                    "{deny:?}: {name}"
                );
            }
            let module = guarded.verdict_of_unknown(b"TFCALLASYNC", None);
            assert_ne!(module, PolicyVerdict::Allowed, "{deny:?}");
            if deny != ["*"] {
                assert_eq!(verdict(&guarded, "script|exists"), PolicyVerdict::Allowed);
            }
        }
        let free = Policy {
            scripts: Scripts::Allowed,
            ..policy(&[], &["FLUSHALL"], &[])
        };
        assert_eq!(verdict(&free, "eval"), PolicyVerdict::Allowed);
        assert_eq!(verdict(&free, "flushall"), PolicyVerdict::Denied);
    }

    #[test]
    fn scripts_are_left_alone_where_every_rule_holds_inside_them() {
        let denied = [
            "CONFIG",
            "client|kill",
            "DEBUG",
            "SUBSCRIBE",
            "EVAL",
            "multi",
            "MONITOR",
        ];
        for policy in [
            policy(&["debug"], &[], &["sort"]),
            policy(&[], &denied, &[]),
        ] {
            assert!(!policy.is_evaded());
            assert_eq!(verdict(&policy, "fcall"), PolicyVerdict::Allowed);
        }
        let strict = Policy::default().evaded();
        assert_eq!(verdict(&strict, "eval"), PolicyVerdict::Evades);
        let get = CommandTable::builtin();
        assert!(!strict.leaves_alone(get.named(b"eval").unwrap()));
    }

    #[test]
    fn dedicated_commands_are_named() {
        let policy = policy(&[], &[], &["sort"]);
        let table = CommandTable::builtin();
        let dedicated: Vec<&str> = table
            .specs()
            .filter(|spec| policy.is_dedicated(spec))
            .map(|spec| &*spec.name)
            .collect();
        assert_eq!(dedicated, ["sort"]);
    }

    #[test]
    fn entries_that_match_nothing_are_told() {
        let policy = policy(&["debug"], &["flushal", "ft.*"], &["Sort*"]);
        let table = CommandTable::builtin();
        let unmatched: Vec<&str> = policy.unmatched(&table).collect();
        assert_eq!(unmatched, ["flushal", "ft.*"]);
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let settings = PolicySettings {
            allow: vec!["debug".into(), "de*g".into(), String::new()],
            deny: vec![
                "client kill".into(),
                "a|b|c".into(),
                "|kill".into(),
                "client|".into(),
                "caf\u{e9}".into(),
            ],
            dedicated: vec!["x".repeat(65)],
            rename: vec!["CONFIG".into()],
            scripts: Scripts::Guarded,
        };
        let mistakes: Vec<String> = Policy::new(&settings)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(mistakes.len(), 9);
        assert_eq!(
            mistakes[0],
            "commands.allow: \"de*g\" has a * that is not its last character"
        );
        assert_eq!(
            mistakes[2],
            "commands.deny: \"client kill\" has a blank; a subcommand is written client|kill"
        );
    }
}
