<?php
// phpredis as applications use it. Usage: php phpredis.php PORT

require __DIR__ . '/jobs.php';

$port = (int) $argv[1];
define('HOST', tls() ? 'tls://127.0.0.1' : '127.0.0.1');
define('CONTEXT', tls() ? ['stream' => tls()] : []);

function client(): Redis
{
    global $port;
    $redis = new Redis();
    $redis->connect(HOST, $port, 5, null, 0, 0, CONTEXT);
    $redis->setOption(Redis::OPT_READ_TIMEOUT, 20);
    return $redis;
}

$redis = client();
$jobs = [];

$jobs['strings'] = [
    $redis->set('text', "caf\u{e9}\r\n"), $redis->get('text'), $redis->get('missing'),
    $redis->set('bytes', "\0\xff\r\n"), bin2hex($redis->get('bytes')),
    $redis->mset(['a' => 1, 'b' => 2]), $redis->mget(['a', 'missing', 'b']),
    $redis->set('once', 1, ['nx', 'ex' => 100]), $redis->set('once', 2, ['nx', 'ex' => 100]),
    $redis->incrBy('count', 41), $redis->incr('count'),
];
$jobs['hashes and sorted sets'] = [
    $redis->hMSet('hash', ['f' => '1', 'g' => '2']), $redis->hGetAll('hash'),
    $redis->zAdd('zset', 1.5, 'm', 2, 'n'), $redis->zRange('zset', 0, -1, true),
];
$jobs['errors'] = [
    $redis->lPush('text', 'x'), $redis->getLastError(), $redis->clearLastError(),
    $redis->rawCommand('NOTHING', 'x'), $redis->getLastError(), $redis->clearLastError(),
];
$iterator = null;
$found = [];
while (($keys = $redis->scan($iterator, '[ab]', 2)) !== false) {
    array_push($found, ...$keys);
}
sort($found);
$jobs['scan'] = $found;
$redis->set('big', str_repeat('x', 3 << 20));
$jobs['big values'] = md5($redis->get('big'));

$pipe = $redis->pipeline();
for ($number = 0; $number < 500; $number++) {
    $pipe->set("key:$number", $number)->get("key:$number")->incr('piped');
}
$pipe->lPush('text', 'x');
$jobs['pipeline'] = $pipe->exec();

$jobs['transaction'] = [
    $redis->multi()->set('t', 'x')->incr('n')->lPush('t', 1)->get('t')->exec(),
    $redis->multi()->set('t', 'y')->discard(),
    $redis->get('t'),
];

$other = client();
$redis->watch('n');
$other->incr('n');
$lost = $redis->multi()->set('w', 'lost')->exec();
$redis->watch('n');
$won = $redis->multi()->set('w', 'won')->exec();
$jobs['watch'] = [$lost, $won, $redis->get('w')];

$script = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}';
$jobs['scripts'] = [
    $redis->evalSha(sha1($script), ['scripted', 'v'], 1), $redis->getLastError(),
    $redis->clearLastError(), $redis->eval($script, ['scripted', 'v'], 1),
    $redis->evalSha(sha1($script), ['scripted', 'v'], 1),
    $redis->script('load', 'return 7'), $redis->evalSha(sha1('return 7')),
];

$jobs['databases'] = [$other->select(3), $other->set('a', 'three'), $other->get('a'), $redis->get('a')];

$jobs['blocking'] = beside(function () {
    $pusher = client();
    until(fn () => $pusher->info('clients')['blocked_clients'] == 1);
    $pusher->rPush('queue', 'one', 'two');
}, fn () => [
    $redis->blPop(['empty', 'queue'], 10), $redis->brPop(['queue'], 10),
    $redis->blPop(['queue'], 1),
]);

$heard = [];
$jobs['pub/sub'] = beside(function () {
    $publisher = client();
    until(fn () => $publisher->pubsub('numsub', ['news'])['news'] == 1);
    foreach (['one', 'two', 'three'] as $text) {
        $publisher->publish('news', $text);
    }
}, function () use (&$heard) {
    $subscriber = client();
    // This version goes on reading when all is unsubscribed: its end is that nothing comes.
    $subscriber->setOption(Redis::OPT_READ_TIMEOUT, 3);
    try {
        $subscriber->subscribe(['news'], function ($redis, $channel, $text) use (&$heard) {
            $heard[] = [$channel, $text];
            if ($text === 'three') {
                $heard[] = $redis->unsubscribe(['news']);
            }
        });
    } catch (RedisException) {
        $heard[] = 'the end';
    }
    return $heard;
});

$pool = [];
for ($number = 0; $number < CLIENTS; $number++) {
    $pool[$number] = new Redis();
    $pool[$number]->pconnect(HOST, $port, 5, "pool:$number", 0, 0, CONTEXT);
}
foreach (range(1, 10) as $round) {
    foreach ($pool as $client) {
        $client->incr('pooled');
    }
}
$jobs['pool'] = $redis->get('pooled');

report('phpredis', phpversion('redis'), $jobs);
