//! Conversations with transactions: sent piece by piece and at once, watched, aborted, nested, with
//! commands inside that narrows answers itself.

pub const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "a transaction",
        "MULTI\nSET a 1\nINCR a\nGET a\nLPUSH l x y\nHSET h f v\nHGETALL h\nEXEC\nGET a",
    ),
    ("an empty one", "MULTI\nEXEC\nPING"),
    (
        "one after the other",
        "MULTI\nINCR a\nEXEC\nMULTI\nINCR a\nEXEC\nINCR a",
    ),
    (
        "thrown away",
        "MULTI\nSET a 1\nDISCARD\nGET a\nMULTI\nSET a 2\nEXEC",
    ),
    (
        "errors when it runs",
        "SET s text\nMULTI\nINCR s\nLPUSH s x\nSET t 1\nEXEC\nGET t",
    ),
    (
        "errors when it is queued",
        "MULTI\nSET a\nSET b 1\nEXEC\nGET b\nMULTI\nNOTHING\nEXEC",
    ),
    (
        "without a beginning",
        "EXEC\nDISCARD\nUNWATCH\nPING\nEXEC now\nDISCARD now\nMULTI now\nWATCH",
    ),
    (
        "wrong words at its end",
        "MULTI\nSET a 1\nEXEC now\nCLIENT GETNAME\nGET a\nEXEC\nMULTI\nSET a 2\nDISCARD now\nCLIENT GETNAME\nEXEC\nCLIENT GETNAME\nGET a",
    ),
    ("nested", "MULTI\nMULTI\nSET a 1\nEXEC"),
    ("watch inside", "MULTI\nWATCH a\nSET a 1\nEXEC\nGET a"),
    (
        "what is not queued takes no place",
        "MULTI\nWATCH a\nSELECT 5\nEXEC\nSET a five\nMULTI\nGET a\nMULTI\nCLIENT GETREDIR\nSELECT 6\nWATCH b\nGET a\nSELECT 7\nEXEC\nSET a seven\nSELECT 5\nGET a\nSELECT 0\nGET a\n2>GET a\n2>SET a zero\nGET a",
    ),
    ("unwatch inside", "WATCH a\nMULTI\nUNWATCH\nSET a 1\nEXEC"),
    (
        "a watched key that stays",
        "SET a 1\nWATCH a b\nGET a\nMULTI\nINCR a\nEXEC\nGET a",
    ),
    ("a watched key that changes", CONFLICT),
    (
        "a conflict that was given up",
        "WATCH a\n2>SET a 2\nUNWATCH\nMULTI\nSET a 3\nEXEC\nGET a",
    ),
    (
        "a conflict and a discard",
        "WATCH a\n2>SET a 2\nMULTI\nSET a 3\nDISCARD\nMULTI\nSET a 4\nEXEC",
    ),
    (
        "watching again and again",
        "WATCH a\nWATCH b\nWATCH a\n2>SET b 1\nMULTI\nPING\nEXEC\nMULTI\nPING\nEXEC",
    ),
    (
        "a conflict with itself",
        "WATCH a\nSET a 1\nMULTI\nGET a\nEXEC",
    ),
    ("databases inside", DATABASES),
    (
        "databases between watch and multi",
        "WATCH a\nSELECT 2\nSET a two\nMULTI\nGET a\nEXEC\nGET a\nSELECT 0\nGET a",
    ),
    (
        "a database in a watched one",
        "WATCH a\nSELECT 2\nMULTI\nSELECT 3\nSET a three\nEXEC\nGET a\nSELECT 0\nGET a",
    ),
    (
        "protocols between watch and multi",
        "WATCH a\nHELLO 3\nMULTI\nHGETALL h\nEXEC\nHELLO 2\nMULTI\nHGETALL h\nEXEC",
    ),
    ("what is local inside", LOCAL),
    ("reset inside", "MULTI\nSET a 1\nRESET\nGET a\nEXEC"),
    ("reset behind watch", "WATCH a\nRESET\nMULTI\nPING\nEXEC"),
    ("quit inside", "MULTI\nSET a 1\n!QUIT"),
    (
        "silence around",
        "~CLIENT REPLY OFF\n~MULTI\n~SET a 1\n~EXEC\nCLIENT REPLY ON\nGET a",
    ),
    (
        "silence for the beginning",
        "~CLIENT REPLY SKIP\n~MULTI\nSET a 1\nEXEC\nGET a",
    ),
    (
        "waiting inside",
        "RPUSH l x\nMULTI\nBLPOP l 0\nBLPOP l 0\nBLMOVE l m LEFT RIGHT 0\nXREAD BLOCK 0 STREAMS s 0\nEXEC",
    ),
    (
        "scripts inside",
        "MULTI\nEVAL \"return redis.call('INCR',KEYS[1])\" 1 a\nPUBLISH c m\nEXEC",
    ),
    ("inline", "inline: MULTI\ninline: SET a 1\ninline: EXEC"),
    (
        "a second one behind one that cannot run",
        "MULTI\nNOSUCH\nEXEC\nMULTI\nSET a 1\nEXEC\nGET a\nMULTI\nNOSUCH\nDISCARD\nMULTI\nSET a 2\nEXEC\nGET a",
    ),
    (
        "twice ended",
        "MULTI\nNOSUCH\nEXEC\nEXEC\nMULTI\nCLIENT NOSUCH\nDISCARD\nDISCARD\nEXEC\nMULTI\nCLIENT GETNAME\nEXEC\nEXEC\nDISCARD",
    ),
    (
        "its end was refused",
        "MULTI\nNOSUCH\nDISCARD now\nSET a 1\nEXEC\nGET a\nMULTI\nCLIENT GETNAME\nDISCARD now\nSET a 1\nEXEC\nMULTI\nSET a 2\nEXEC",
    ),
    (
        "places in one behind the other",
        "MULTI\nCLIENT SETNAME x\nSELECT 2\nEXEC\nMULTI\nSET a 1\nEXEC\nMULTI\nCLIENT GETNAME\nSELECT 0\nSET b 1\nEXEC\nGET b\nGET a",
    ),
    (
        "waiting behind one",
        "WATCH k\nMULTI\nCLIENT GETNAME\nRPUSH l x\nEXEC\nBLPOP l 1\nMULTI\nCLIENT GETNAME\nEXEC\nBLPOP l 0.01\nPING",
    ),
    (
        "pinned behind one",
        "MULTI\nCLIENT GETNAME\nEXEC\nREADONLY\nCLIENT NO-TOUCH on\nMULTI\nSET a 1\nEXEC\nCLIENT NO-TOUCH off\nREADWRITE\nGET a",
    ),
    (
        "tracking seen from inside",
        "CLIENT TRACKING on\nMULTI\nCLIENT TRACKINGINFO\nCLIENT GETREDIR\nEXEC\nCLIENT TRACKING off\nMULTI\nCLIENT TRACKINGINFO\nCLIENT GETREDIR\nEXEC",
    ),
    (
        "clients seen from inside",
        "MULTI\nSET a 1\nCLIENT INFO\nCLIENT LIST ID {id1}\nEXEC\nCLIENT INFO\nMULTI\nCLIENT SETNAME me\nSELECT 3\nCLIENT INFO\nEXEC\nCLIENT INFO",
    ),
    (
        "clients seen from inside as they are when it is their turn",
        "MULTI\nCLIENT LIST ID {id1}\nCLIENT SETNAME me\nCLIENT LIST ID {id1}\nSELECT 3\nCLIENT LIST ID {id1}\nCLIENT SETNAME you\nEXEC\nCLIENT GETNAME",
    ),
    (
        "what its client has sent behind is not seen from inside",
        "MULTI\nCLIENT INFO\nCLIENT LIST ID {id1}\nEXEC\nGET a\nWATCH a\nMULTI\nCLIENT INFO\nEXEC\nECHO x\nCLIENT INFO",
    ),
    (
        "what is not queued is looked up all the same",
        "MULTI\nSHUTDOWN NOSAVE\n2>CLIENT LIST ID {id1}\nEXEC\n2>CLIENT LIST ID {id1}\nMULTI\nWATCH a\n2>CLIENT LIST ID {id1}\nSYNC\n2>CLIENT LIST ID {id1}\nSAVE\n2>CLIENT LIST ID {id1}\nNOTHING\n2>CLIENT LIST ID {id1}\nDISCARD\n2>CLIENT LIST ID {id1}",
    ),
    (
        "wrong words at the end of one that is aborted",
        "MULTI\nNOTHING\nEXEC now\nEXEC\nMULTI\nCLIENT GETNAME x\nSHUTDOWN NOSAVE\nEXEC now\nPING\nEXEC now",
    ),
    (
        "acting on clients from inside",
        "MULTI\nCLIENT KILL ID 9223372036854775807\nCLIENT UNBLOCK 9223372036854775807\nCLIENT UNBLOCK x\nCLIENT LIST TYPE nothing\nSET a 1\nEXEC\nGET a",
    ),
    (
        "the server seen from inside",
        "MULTI\nINFO clients\nSET a 1\nINFO server\nINFO nothing\nEXEC\nGET a\nMULTI\nINFO\nDISCARD\nMULTI\nINFO\nNOSUCH\nEXEC\nPING",
    ),
    ("what is never run inside", NEVER_INSIDE),
    (
        "transactions of two",
        "MULTI\n2>MULTI\nINCR a\n2>INCR a\n2>EXEC\nEXEC\n2>GET a",
    ),
];

const CONFLICT: &str = "
    SET a 1
    WATCH a
    MULTI
    INCR a
    2> SET a 10
    EXEC
    GET a
    WATCH a
    2> SET a 11
    MULTI
    INCR a
    EXEC
    GET a
    MULTI
    INCR a
    EXEC
";

/// Redis' own words for it, whatever is said outside.
const NEVER_INSIDE: &str = "
    MULTI
    SHUTDOWN NOSAVE
    EXEC
    MULTI
    SHUTDOWN NOSAVE NOW FORCE x
    SYNC
    EXEC
    MULTI
    PSYNC ? -1
    EXEC
    MULTI
    SAVE
    EXEC
    MULTI
    SET a 1
    MONITOR
    EXEC
    GET a
";

const DATABASES: &str = "
    SET a zero
    MULTI
    SELECT 1
    SET a one
    SELECT 99
    SELECT x
    SELECT 2
    SET a two
    EXEC
    GET a
    SELECT 1
    GET a
    MULTI
    SELECT 0
    GET a
    DISCARD
    GET a
    MULTI
    SELECT 5
    NOTHING
    EXEC
    GET a
";

const LOCAL: &str = "
    MULTI
    SET a 1
    CLIENT SETNAME inside
    CLIENT GETNAME
    CLIENT GETREDIR
    CLIENT NO-EVICT off
    CLIENT SETNAME 'no good'
    GET a
    EXEC
    CLIENT GETNAME
    MULTI
    CLIENT GETNAME x
    SET b 1
    EXEC
    GET b
    MULTI
    CLIENT SETNAME other
    DISCARD
    CLIENT GETNAME
";
