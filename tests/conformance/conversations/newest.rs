//! What servers of recent years have brought: one that does not know a command says so, directly and
//! through narrows.

pub const CONVERSATIONS: &[(&str, &str)] =
    &[("data", DATA), ("field names", NAMES), ("waits", WAITS)];

const DATA: &str = r#"
    SET s a
    SET s b IFEQ a
    SET s c IFEQ nope
    DELIFEQ s nope
    DIGEST s
    DELEX s IFEQ b
    MSETEX 2 k1 a k2 b EX 100
    MGET k1 k2
    HSETEX h EX 100 FIELDS 1 f v
    HGETEX h PERSIST FIELDS 1 f
    HGETDEL h FIELDS 1 f
    INCREX n
    ARSET a 0 x y
    ARGET a 1
    VADD v VALUES 2 1 0 el
    VSIM v VALUES 2 1 0
    VCARD v
    XADD st 1-1 f v
    XGROUP CREATE st g 0
    XREADGROUP GROUP g c CLAIM 0 STREAMS st >
    XREAD MAXCOUNT 5 STREAMS st 0
    XACKDEL st g IDS 1 1-1
    CLIENT MAINT_NOTIFICATIONS ON
"#;

/// Two clients, each with names of its own.
const NAMES: &str = r#"
    HIMPORT PREPARE names f g
    2> HIMPORT SET other names 1 2
    2> HIMPORT PREPARE names x y
    HIMPORT SET mine names 1 2
    2> HIMPORT SET other names 1 2
    HGETALL mine
    2> HGETALL other
    HIMPORT DISCARDALL
    HIMPORT SET mine names 3 4
    RESET
    HGETALL mine
"#;

const WAITS: &str = r#"
    BLMOVEM src dst LEFT RIGHT 0.01
    BLMOVEM src dst LEFT RIGHT 0.01 COUNT 2 OBO
    RPUSH src a b c d
    BLMOVEM src dst LEFT RIGHT 0 COUNT 9 BULK
    RPUSH src e
    BLMOVEM src dst LEFT RIGHT 0.01 EXACTLY 2 OBO
    LMOVEM src dst LEFT RIGHT
    LRANGE dst 0 -1
"#;
