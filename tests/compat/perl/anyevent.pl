# AnyEvent::Redis, for programs that wait for many things at once. Usage: perl anyevent.pl PORT

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use AnyEvent;
use AnyEvent::Redis;
use Jobs;

my ($port) = @ARGV;

sub client { return AnyEvent::Redis->new(host => '127.0.0.1', port => $port) }

my $redis = client();
my $other = client();
my %jobs;

$jobs{strings} = [map { $_->recv } $redis->set(text => 'x'), $redis->get('text'), $redis->get('missing')];
$jobs{errors} = [failure { $redis->lpush(text => 'x')->recv }, failure { $redis->nothing('x')->recv }];

my @waiting = map { ($redis->set("key:$_", $_), $redis->get("key:$_"), $redis->incr('piped')) } 0 .. 499;
$jobs{pipeline} = [map { $_->recv } @waiting];

$redis->multi->recv;
my @queued = ($redis->set(t => 'x'), $redis->incr('n'), $redis->get('t'));
$jobs{transaction} = $redis->exec->recv;

$redis->watch('n')->recv;
$other->incr('n')->recv;
$redis->multi->recv;
push @queued, $redis->set(w => 'lost');
$jobs{watch} = [$redis->exec->recv, $redis->get('w')->recv];

my $popped = $redis->blpop('empty', 'queue', 10);
eventually { $other->info->recv->{blocked_clients} == 1 };
$other->rpush('queue', 'one')->recv;
$jobs{blocking} = $popped->recv;

my @heard;
my $subscriber = client();
my $all = AnyEvent->condvar;
my $over = $subscriber->subscribe('news', sub {
    my ($text, $channel) = @_;
    push @heard, [$channel, $text];
    $all->send if @heard == 3;
});
eventually { $other->pubsub('numsub', 'news')->recv->[1] == 1 };
$other->publish(news => $_)->recv for qw(one two three);
$all->recv;
$jobs{'pub/sub'} = \@heard;

my @pool = map { client() } 1 .. CLIENTS;
my @replies = map { my $client = $_; map { $client->incr('pooled') } 1 .. 10 } @pool;
$_->recv for @replies;
$jobs{pool} = $redis->get('pooled')->recv;

report('AnyEvent::Redis', AnyEvent::Redis->VERSION, \%jobs);
