//! Conversations with commands that wait on the server.

/// `raw: ""` sends nothing: it hears the reply to what was sent before.
pub const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "data is there",
        "RPUSH l a b c d\nBLPOP l 0\nBRPOP l 0\nBLMOVE l m LEFT RIGHT 0\nBRPOPLPUSH l m 0\nBLMPOP 0 1 m LEFT COUNT 2",
    ),
    (
        "sorted sets",
        "ZADD z 1 a 2 b 3 c\nBZPOPMIN z 0\nBZPOPMAX z 0\nBZMPOP 0 1 z MIN",
    ),
    (
        "nothing in time",
        "BLPOP l 0.02\nBRPOP l 0.02\nBLMOVE l m LEFT RIGHT 0.02\nBZPOPMIN z 0.02\nBLMPOP 0.02 1 l LEFT\nBZMPOP 0.02 1 z MIN\nXREAD BLOCK 20 STREAMS s 0",
    ),
    (
        "wrong words",
        "BLPOP l\nBLPOP l x\nBLPOP l -1\nBLMOVE l m UP RIGHT 0\nBLMPOP 0 x l LEFT\nXREAD BLOCK x STREAMS s 0\nXREAD BLOCK 10 STREAMS s",
    ),
    (
        "wrong types",
        "SET s 1\nBLPOP s 0.1\nBZPOPMIN s 0.1\nXREAD BLOCK 10 STREAMS s 0",
    ),
    (
        "a push wakes",
        "~BLPOP l k 0\n2>RPUSH k v\nraw: \"\"\nLLEN k",
    ),
    (
        "what is pipelined behind waits",
        "~BLPOP l 0\n~SET a 1\n2>GET a\n2>RPUSH l v\nraw: \"\"\nraw: \"\"\nGET a",
    ),
    (
        "in its database",
        "SELECT 2\n~BLPOP l 0\n2>RPUSH l zero\n2>SELECT 2\n2>RPUSH l two\nraw: \"\"\n2>LLEN l",
    ),
    (
        "streams",
        "XADD s 1-1 f v\nXREAD BLOCK 0 STREAMS s 0\n~XREAD BLOCK 0 STREAMS s 1-1\n2>XADD s 2-1 f w\nraw: \"\"\nXGROUP CREATE s g 0\nXREADGROUP GROUP g c BLOCK 0 STREAMS s >\n~XREADGROUP GROUP g c BLOCK 0 STREAMS s >\n2>XADD s 3-1 f x\nraw: \"\"",
    ),
    (
        "before and after",
        "SET a 1\nBLPOP l 0.01\nGET a\nSELECT 1\nBLPOP l 0.01\nGET a",
    ),
    (
        "between watch and exec",
        "WATCH a\nBLPOP l 0.01\nMULTI\nSET a 1\nEXEC",
    ),
    (
        "acknowledgements",
        "WAIT 0 0\nSET k v\nWAIT 0 10\nWAIT 1 20\nWAIT a b\nWAIT 0\nWAIT -1 0\nWAIT 0 -1\nWAITAOF 0 0 10\nWAITAOF 1 0 10\nWAITAOF 2 0 10\nGET k\nWATCH k\nWAIT 1 20\nMULTI\nGET k\nEXEC\n~CLIENT REPLY SKIP\n~WAIT 0 0\nGET k",
    ),
    (
        "in silence",
        "RPUSH l a b\n~CLIENT REPLY SKIP\n~BLPOP l 0\nBLPOP l 0",
    ),
];
