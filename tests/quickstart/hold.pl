# SPDX-License-Identifier: LGPL-2.1-or-later
# Holds the files named on the command line in memory. On stdin, a line each: "check" compares what is
# held with the files, byte by byte; "write" changes a byte in every 16th page first.
use strict;
use warnings;

$| = 1;
my @held;
my $written = 0;

sub content {
        my ($name) = @_;
        open(my $file, '<:raw', $name) or die "$name: $!\n";
        my $size = -s $file;
        my $data;
        sysread($file, $data, $size) == $size or die "$name: cannot be read whole\n";
        return \$data;
}

sub change {
        my ($data) = @_;
        for (my $at = 100; $at < length $$data; $at += 16 * 4096) {
                vec($$data, $at, 8) ^= 255;
        }
}

@held = map { content($_) } @ARGV;
print "ready\n";
while (my $line = <STDIN>) {
        if ($line eq "write\n") {
                change($_) for @held;
                $written = !$written;
        }
        my $wrong = '';
        for my $i (0 .. $#held) {
                my $expected = content($ARGV[$i]);
                change($expected) if $written;
                $wrong .= " $ARGV[$i]" if ${$held[$i]} ne $$expected;
        }
        print $wrong ? "differs:$wrong\n" : "same\n";
}
