//! redis-rs as applications use it: a blocking connection, a pool of them, a multiplexed asynchronous
//! one, its connection manager, and subscriptions. Usage: redis_rs PORT

use narrows_test_clients::{CLIENTS, Jobs, eventually, port, report, said};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Commands, Connection, RedisResult, Script};
use serde_json::{Value, json};
use std::sync::Barrier;

fn data(conn: &mut Connection, jobs: &mut Jobs) -> RedisResult<()> {
    let () = conn.set("text", "caf\u{e9}\r\n")?;
    let () = conn.set("bytes", &b"\0\xff\r\n"[..])?;
    let () = conn.mset(&[("a", 1), ("b", 2)])?;
    jobs.insert(
        "strings".to_owned(),
        json!([
            conn.get::<_, String>("text")?,
            conn.get::<_, Option<String>>("missing")?,
            conn.get::<_, Vec<u8>>("bytes")?,
            conn.mget::<_, Vec<Option<i64>>>(&["a", "missing", "b"])?,
            conn.hset_multiple::<_, _, _, String>("hash", &[("f", 1), ("g", 2)])?,
            conn.hget::<_, _, i64>("hash", "g")?,
        ]),
    );
    jobs.insert(
        "errors".to_owned(),
        json!([
            said(conn.lpush::<_, _, i64>("text", "x")),
            said(redis::cmd("NOTHING").arg("x").query::<String>(conn)),
        ]),
    );
    let mut found: Vec<String> = conn
        .scan_match("[ab]")?
        .collect::<RedisResult<Vec<String>>>()?;
    found.sort();
    found.dedup();
    jobs.insert("scan".to_owned(), json!(found));
    let big = "x".repeat(3 << 20);
    let () = conn.set("big", &big)?;
    let same = conn.get::<_, String>("big")? == big;
    jobs.insert("big values".to_owned(), json!(same));
    Ok(())
}

fn pipelines(conn: &mut Connection, other: &mut Connection, jobs: &mut Jobs) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for number in 0..500 {
        let key = format!("key:{number}");
        pipe.set(&key, number).ignore().get(&key).incr("piped", 1);
    }
    jobs.insert("pipeline".to_owned(), json!(pipe.query::<Vec<i64>>(conn)?));
    let block = redis::pipe()
        .atomic()
        .set("t", "x")
        .incr("n", 1)
        .get("t")
        .query::<(String, i64, String)>(conn)?;
    let failed = redis::pipe()
        .atomic()
        .set("t", "y")
        .lpush("t", 1)
        .query::<(String, i64)>(conn);
    jobs.insert(
        "transaction".to_owned(),
        json!([json!(block), said(failed.map(|_| "no error"))]),
    );
    let mut tries = 0;
    let last: (i64,) = redis::transaction(conn, &["n"], |conn, pipe| {
        let seen: i64 = conn.get("n")?;
        tries += 1;
        if tries == 1 {
            let () = other.incr("n", 1)?;
        }
        pipe.set("n", seen + 10).ignore().get("n").query(conn)
    })?;
    jobs.insert("watch".to_owned(), json!([last, tries]));
    let script = Script::new(r#"return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}"#);
    let mut run = || {
        script
            .key("scripted")
            .arg("v")
            .invoke::<(String, String, i64)>(conn)
    };
    jobs.insert("scripts".to_owned(), json!([run()?, run()?]));
    Ok(())
}

async fn asynchronous(client: &redis::Client, jobs: &mut Jobs) -> RedisResult<()> {
    let conn = client.get_multiplexed_async_connection().await?;
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let mut conn: MultiplexedConnection = conn.clone();
            tokio::spawn(async move {
                let key = format!("multiplexed:{number}");
                let () = conn.set(&key, number).await?;
                conn.get::<_, i64>(&key).await
            })
        })
        .collect();
    let mut values = Vec::new();
    for task in tasks {
        values.push(task.await.expect("no panic")?);
    }
    jobs.insert("multiplexed".to_owned(), json!(values));

    let mut manager = client.get_connection_manager().await?;
    let mut waiting = client
        .get_multiplexed_async_connection_with_config(
            &redis::AsyncConnectionConfig::new().set_response_timeout(None),
        )
        .await?;
    let popped = tokio::spawn(async move {
        let first = waiting.blpop::<_, (String, String)>(&["empty", "queue"], 10.0);
        let first = first.await?;
        let second = waiting.brpop::<_, (String, String)>("queue", 10.0).await?;
        let none = waiting.blpop::<_, Option<(String, String)>>("queue", 0.1);
        RedisResult::Ok((first, second, none.await?))
    });
    eventually(|| {
        let mut manager = manager.clone();
        async move {
            let info: String = redis::cmd("INFO")
                .arg("clients")
                .query_async(&mut manager)
                .await
                .expect("INFO");
            info.contains("blocked_clients:1\r\n")
        }
    })
    .await;
    let () = manager.rpush("queue", &["one", "two"]).await?;
    let popped = popped.await.expect("no panic")?;
    jobs.insert("blocking".to_owned(), json!(popped));
    Ok(())
}

fn subscribe(client: &redis::Client, other: &mut Connection) -> RedisResult<Value> {
    let mut conn = client.get_connection()?;
    let mut heard = Vec::new();
    {
        let mut subscriber = conn.as_pubsub();
        subscriber.subscribe("news")?;
        subscriber.psubscribe("ne*")?;
        for text in ["one", "two", "three"] {
            let () = other.publish("news", text)?;
        }
        while heard.len() < 6 {
            let message = subscriber.get_message()?;
            let pattern = message.get_pattern::<Option<String>>()?;
            heard.push(json!([pattern, message.get_payload::<String>()?]));
        }
    }
    // It has unsubscribed, and is an ordinary connection again.
    Ok(json!([heard, conn.get::<_, i64>("a")?]))
}

fn main() -> RedisResult<()> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", port()))?;
    let mut conn = client.get_connection()?;
    let mut other = client.get_connection()?;
    let mut jobs = Jobs::new();
    data(&mut conn, &mut jobs)?;
    pipelines(&mut conn, &mut other, &mut jobs)?;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(asynchronous(&client, &mut jobs))?;
    jobs.insert("pub/sub".to_owned(), subscribe(&client, &mut other)?);
    let mut third =
        redis::Client::open(format!("redis://127.0.0.1:{}/3", port()))?.get_connection()?;
    let () = third.set("a", "three")?;
    let apart: (String, String) = (third.get("a")?, conn.get("a")?);
    jobs.insert("databases".to_owned(), json!(apart));

    let pool = r2d2::Pool::builder()
        .max_size(CLIENTS as u32)
        .build(client)
        .expect("a pool");
    let all_have_one = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut pooled = pool.get().expect("a connection");
                all_have_one.wait();
                for _ in 0..10 {
                    let () = pooled.incr("pooled", 1).expect("INCR");
                }
            });
        }
    });
    let pooled: i64 = conn.get("pooled")?;
    jobs.insert("pool".to_owned(), json!([pooled, pool.state().connections]));
    report("redis-rs", "redis", &jobs);
    Ok(())
}
