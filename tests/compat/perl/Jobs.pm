# What the programs of this folder share: a second process that acts while the first one waits, and the
# line that says what came of the jobs. It knows no library.
package Jobs;

use strict;
use warnings;

use Digest::MD5 'md5_hex';
use Exporter 'import';
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(CLIENTS beside eventually failure md5_hex report);
use constant CLIENTS => 20;

# Runs `act` in a process of its own, which is over when this returns what `wait` gives.
sub beside {
    my ($act, $wait) = @_;
    my $child = fork // die "no second process: $!";
    if ($child == 0) {
        eval { $act->(); 1 } or print STDERR $@;
        # Without the destructors of what it has of its parent.
        kill KILL => $$;
    }
    my $result = $wait->();
    waitpid $child, 0;
    return $result;
}

# Polls until the block is true.
sub eventually(&) {
    my ($probe) = @_;
    my $deadline = time + 20;
    until ($probe->()) {
        die "not within 20 s\n" if time > $deadline;
        sleep 0.002;
    }
}

sub failure(&) {
    my ($act) = @_;
    my $result = eval { $act->() };
    return defined $result ? $result : $@ =~ s/, at .*| at \S+ line.*//sr;
}

# Says what came of it, and keeps all connections until its input ends.
sub report {
    my ($library, $version, $jobs) = @_;
    my $line = { library => $library, version => "$version", jobs => $jobs };
    local $| = 1;
    print JSON::PP->new->canonical->ascii->allow_nonref->encode($line), "\n";
    <STDIN>;
}

1;
