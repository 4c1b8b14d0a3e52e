#!/usr/bin/perl
# Floods the terminal with numbered lines and executes the lines typed at it.
#   flood.pl DIRECTORY
# What it prints goes into DIRECTORY/transcript first, what it executed into DIRECTORY/typed, its pid into DIRECTORY/pid.
# "go" begins the flood, "pause" holds it, "stop" ends it (the last line printed is "end"), "bye" exits.
use strict;
use warnings;

my ($directory) = @ARGV;
system('stty', 'raw', '-echo') == 0 or die "stty: $?";

sub create {
    my ($name) = @_;
    open my $file, '>', "$directory/$name" or die "$name: $!";
    return $file;
}

# A signal or a short write may cut any write: the rest follows.
sub put {
    my ($file, $bytes) = @_;
    my $done = 0;
    while ($done < length $bytes) {
        my $wrote = syswrite $file, $bytes, length($bytes) - $done, $done;
        if (defined $wrote) { $done += $wrote }
        elsif (!$!{EINTR}) { exit 1 }
    }
}

my $transcript = create('transcript');
my $typed = create('typed');
my $pid = create('pid');
put($pid, "$$\n");
close $pid;

sub say_out {
    my ($bytes) = @_;
    put($transcript, $bytes);
    put(\*STDOUT, $bytes);
}

say_out("ready\r\n");
# Characters of one to four bytes, none of them a control character.
my $filler = "plain text \xC3\xA9\xC3\xB1 \xE6\xBC\xA2\xE5\xAD\x97 \xF0\x9F\xA6\x80 " x 4;
my @fillers = map { my $text = $filler; $text =~ s/^(?:[\x00-\x7F]|[\xC0-\xFF][\x80-\xBF]*){$_}//; $text } 0 .. 40;
my ($flooding, $line, $input) = (0, 0, '');
while (1) {
    my $ready = '';
    vec($ready, 0, 1) = 1;
    if (select($ready, undef, undef, $flooding ? 0 : undef) > 0) {
        my $read = sysread STDIN, $input, 65536, length $input;
        exit 2 unless $read;
        while ($input =~ s/^([^\n]*)\n//) {
            put($typed, "$1\n");
            if ($1 eq 'go') { $flooding = 1 }
            elsif ($1 eq 'pause') { $flooding = 0 }
            elsif ($1 eq 'stop') { $flooding = 0; say_out("end\r\n") }
            elsif ($1 eq 'bye') { exit 0 }
            else { say_out("executed $1\r\n") }
        }
    }
    if ($flooding) {
        my $batch = '';
        for (1 .. 20) {
            $batch .= sprintf "%09d %s\r\n", $line, $fillers[$line % @fillers];
            $line++;
        }
        say_out($batch);
    }
}
