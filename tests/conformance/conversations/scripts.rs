//! Conversations by way of scripts and functions, which answer in every type of either protocol.

pub const CONVERSATIONS: &[(&str, &str)] = &[
    ("scripts", SCRIPTS),
    ("scripts of RESP3", SCRIPTS_OF_RESP3),
    ("functions", FUNCTIONS),
];

const SCRIPTS: &str = r#"
    EVAL 'return 1' 0
    EVAL 'return {1,"two",{3},false,true,nil}' 0
    EVAL 'return redis.call("SET",KEYS[1],ARGV[1])' 1 a 1
    EVAL 'return redis.call("GET",KEYS[1])' 1 a
    EVAL 'return redis.pcall("INCR",KEYS[1],1)' 1 a
    EVAL 'return redis.call("LPUSH",KEYS[1],1)' 1 a
    EVAL 'return redis.error_reply("MINE of my own")' 0
    EVAL 'return redis.status_reply("FINE")' 0
    EVAL 'this is no lua' 0
    EVAL 'return 3.99' 0
    EVAL 'return 1'
    EVAL 'return 1' x
    EVAL 'return 1' 2 a
    EVAL 'return 1' -1
    EVAL_RO 'return redis.call("GET",KEYS[1])' 1 a
    EVAL_RO 'return redis.call("SET",KEYS[1],1)' 1 a
    EVAL 'return redis.call("SUBSCRIBE","x")' 0
    EVAL 'return redis.call("NOTHING","x")' 0
    EVAL 'redis.call("SELECT",3) return redis.call("SET","in3","x")' 0
    GET in3
    EVAL 'return redis.call("CLIENT","ID")' 0
    SCRIPT LOAD 'return ARGV[1]'
    EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 0 hello
    EVALSHA 098E0F0D1448C0A81DAFE820F66D460EB09263DA 0 hello
    EVALSHA_RO 098e0f0d1448c0a81dafe820f66d460eb09263da 0 hello
    EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
    EVALSHA short 0
    SCRIPT EXISTS 098e0f0d1448c0a81dafe820f66d460eb09263da ffffffffffffffffffffffffffffffffffffffff
    SCRIPT FLUSH
    EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 0 hello
    SCRIPT HELP
    SCRIPT NOTHING
    SCRIPT
    EVAL '#!lua flags=no-writes\nreturn 1' 0
"#;

const SCRIPTS_OF_RESP3: &str = r#"
    HSET h f v
    SADD s 1 2
    ZADD z 1.5 m
    EVAL 'redis.setresp(3) return redis.call("HGETALL",KEYS[1])' 1 h
    EVAL 'redis.setresp(3) return redis.call("SMEMBERS",KEYS[1])' 1 s
    EVAL 'redis.setresp(3) return redis.call("ZRANGE",KEYS[1],0,-1,"WITHSCORES")' 1 z
    EVAL 'redis.setresp(3) return redis.call("GET","missing")' 0
    EVAL 'redis.setresp(3) return {double=3.5}' 0
    EVAL 'redis.setresp(3) return {double=1/0}' 0
    EVAL 'redis.setresp(3) return {double=0/0}' 0
    EVAL 'redis.setresp(3) return {map={a=1}}' 0
    EVAL 'redis.setresp(3) return {map={a={map={b={set={c=true}}}}}}' 0
    EVAL 'redis.setresp(3) return {set={a=true}}' 0
    EVAL 'redis.setresp(3) return {big_number="123456789012345678901234567890"}' 0
    EVAL 'redis.setresp(3) return {verbatim_string={format="txt",string="a\r\nb"}}' 0
    EVAL 'redis.setresp(3) return {true,false,{double=1.5},{set={x=true}},"s",7}' 0
    EVAL 'redis.setresp(3) return {true,{{{{{{{{{{1}}}}}}}}}}}' 0
    EVAL 'redis.setresp(4) return 1' 0
    EVAL 'return {double=3.5}' 0
    EVAL 'return true' 0
"#;

const FUNCTIONS: &str = r##"
    FUNCTION LOAD "#!lua name=mine\nredis.register_function('mine_get', function(k,a) return redis.call('GET',k[1]) end)\nredis.register_function{function_name='mine_ro', callback=function() return {1,'x'} end, flags={'no-writes'}}"
    FUNCTION LOAD "#!lua name=mine\nreturn 1"
    FUNCTION LOAD "no engine"
    SET a 1
    FCALL mine_get 1 a
    FCALL_RO mine_ro 0
    FCALL_RO mine_get 1 a
    FCALL missing 0
    FCALL mine_get x
    FUNCTION LIST LIBRARYNAME mine
    FUNCTION LIST WITHCODE NOTHING
    FUNCTION STATS
    FUNCTION DELETE mine
    FUNCTION DELETE mine
    FUNCTION LIST
    FUNCTION HELP
    FUNCTION NOTHING
    FUNCTION FLUSH SLOWLY
    FUNCTION FLUSH ASYNC
    FUNCTION DUMP
"##;
