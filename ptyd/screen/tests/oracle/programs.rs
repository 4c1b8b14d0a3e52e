//! Real programs and what is done in them. What they write differs from run to run, which is as well.

use std::path::Path;
use std::process::Command;

use crate::recording::Act::{self, Resize, Type};

pub struct Program {
    pub name: &'static str,
    pub command: &'static [&'static str],
    pub acts: &'static [Act],
}

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/csi.rs");

/// Lines of many scripts, wide and combining characters, with colours, longer than most screens are wide. Of bytes a shell's
/// printf need know octal numbers only.
const TEXT: &str = r#"
for i in 1 2 3 4 5 6 7 8; do
  printf '\033[1;3%sm%s\033[0m 日本語のテキスト、とても長い行です。 한국어 텍스트 中文字符 \033[4%sm背景\033[K\033[0m\n' "$i" "$i" "$i"
  printf 'emoji 😀😁🤖 👩‍👩‍👧 🏳️‍🌈 e\314\201a\314\210o\314\202 x\314\200\314\201\314\202\314\203 ─│┌┐└┘├┤ ░▒▓█ ½€™ \033[3;4:3;58:5:9mcurly\033[24;59m\n'
  printf '\033[38;2;%s;200;100mtrue colour that goes on and on and on and on and on and on and on and on and on\033[m\n' "$((i * 30))"
  printf '\033]8;;http://example.org/%s\033\\a link\033]8;;\033\\ \033]0;title %s\007\ttab\ttab\n' "$i" "$i"
done
"#;

/// A progress bar at the bottom, as apt draws one: a region above it, the cursor saved and restored.
const PROGRESS: &str = r#"
rows=$(stty size | cut -d' ' -f1)
printf '\n\0337\033[0;%sr\0338\033[1A' "$((rows - 1))"
for i in $(seq 1 40); do
  printf 'Unpacking package-%s (1.%s-2) ...\r\n' "$i" "$i"
  printf '\0337\033[%s;0f\033[42m\033[30mProgress: [%3s%%]\033[49m\033[39m [%s%s] \0338' "$rows" "$((i * 5 / 2))" "$(printf '%*s' $((i / 2)) '' | tr ' ' '#')" "$(printf '%*s' $((20 - i / 2)) '' | tr ' ' '.')"
done
printf '\0337\033[0;%sr\0338\033[1A\033[J\ndone\n' "$rows"
"#;

/// apt itself, with packages made here and a system of their own below this directory. Who may not install only has it say what it
/// would do.
const APT: &str = r#"
mkdir -p root/var/lib/dpkg/updates root/var/lib/dpkg/info root/var/lib/apt/lists/partial root/var/cache/apt/archives/partial root/var/log/apt
mkdir -p root/etc/apt/apt.conf.d root/etc/apt/sources.list.d root/etc/apt/preferences.d
touch root/var/lib/dpkg/status root/etc/apt/sources.list
printf 'Dir "%s/root"; Dir::Bin::dpkg "/usr/bin/dpkg"; Dir::State::status "%s/root/var/lib/dpkg/status"; APT::Sandbox::User "root";
Dpkg::Progress-Fancy "1"; Dpkg::Options { "--root=%s/root"; "--force-script-chrootless"; };\n' "$PWD" "$PWD" "$PWD" >apt.conf
for i in 1 2 3 4 5 6; do
  mkdir -p p/DEBIAN p/usr/share/demo
  printf 'Package: demo-%s\nVersion: 1.%s-2\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: nothing\n' $i $i >p/DEBIAN/control
  printf '#!/bin/sh\necho "demo: one of six is set up"; sleep 0.2\n' >p/DEBIAN/postinst
  chmod 755 p p/DEBIAN p/DEBIAN/postinst
  seq 1000 >p/usr/share/demo/$i
  dpkg-deb --build p demo-$i.deb >/dev/null
  rm -r p
done
export APT_CONFIG="$PWD/apt.conf"
[ "$(id -u)" = 0 ] || set -- -s
exec apt-get -y "$@" install ./demo-*.deb
"#;

const REPOSITORY: &str = r#"
git init -q -b main r && cd r || exit 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  seq $i $((i * 9)) > file$i; echo "line $i" >> all; git add -A; git commit -q -m "Change number $i" -m "With a body."
  [ $((i % 4)) = 0 ] && git checkout -q -b side$i && echo x > side && git add -A && git commit -q -m "Aside $i" && git checkout -q main && git merge -q --no-edit side$i
done
"#;

/// A shell with more lines than its screen has, from which programs are started.
const SHELL: &[&str] = &["bash", "--noprofile", "--norc", "-i"];
const LINES: Act = Type(
    "PS1='$ '; for i in $(seq 1 40); do echo $i; done; echo a line that is longer than a narrow screen\r",
);

pub const PROGRAMS: &[Program] = &[
    // A phone's keyboard opens and closes, and the phone is turned, while a program is on the alternate screen.
    Program {
        name: "less from a shell",
        command: SHELL,
        acts: &[
            LINES,
            Type("less /etc/services\r"),
            Resize(14, 80),
            Resize(24, 80),
            Type("q"),
            Type("echo back\r"),
            Type("less /etc/services\r"),
            Resize(30, 80),
            Type("q"),
            Type("exit\r"),
        ],
    },
    Program {
        name: "vim from a shell",
        command: SHELL,
        acts: &[
            LINES,
            Type("vim -u NONE -i NONE /etc/services\r"),
            Resize(14, 33),
            Resize(30, 100),
            Type(":q!\r"),
            Type("echo back\r"),
            Type("vim -u NONE -i NONE /etc/services\r"),
            Resize(9, 80),
            Type(":q!\r"),
            Type("exit\r"),
        ],
    },
    Program {
        name: "htop from a shell",
        command: SHELL,
        acts: &[
            LINES,
            Type("htop -d 10\r"),
            Resize(30, 60),
            Resize(20, 90),
            Type("q"),
            Type("echo back\r"),
            Type("exit\r"),
        ],
    },
    Program {
        name: "bash",
        command: &["bash", "--noprofile", "--norc", "-i"],
        acts: &[
            Type("PS1='\\[\\e[1;32m\\]\\u@host\\[\\e[0m\\]:\\[\\e[34m\\]\\w\\[\\e[m\\]\\$ '\r"),
            Type("ls --color=always /usr\r"),
            Type("cat /etc/host\t\t"),
            Type(
                "\x15echo a line that is longer than the screen is wide, so that it wraps, and then is edited $TER\t",
            ),
            Type("\x01"),
            Type("\x1bf\x1bf\x1bd\x05\x17"),
            Resize(20, 61),
            Type("\r"),
            Type("seq 1 60\r"),
            Type("\x1b[A\x1b[A"),
            Type("\x12seq"),
            Resize(30, 100),
            Type("\x07"),
            Type("\x0c"),
            Type("printf '\\e[5;10Hthere\\e[2J\\e[41mred\\e[K\\e[m\\n'\r"),
            Type("bind -p | head -40\r"),
            Type("exit\r"),
        ],
    },
    Program {
        name: "vim",
        command: &["vim", "-u", "NONE", "-i", "NONE", "-N", SOURCE],
        acts: &[
            Type(":set number hlsearch incsearch ruler showcmd laststatus=2 encoding=utf-8\r"),
            Type(":syntax on\r"),
            Type("\x06\x06"),
            Type("/self\r"),
            Type("nnN"),
            Type(":split\r"),
            Type(":vsplit\r"),
            Type("Ohello world 日本語 e\u{301} \x1b"),
            Resize(18, 70),
            Type("V10jd"),
            Type("u"),
            Type("\x17j\x05\x05\x05"),
            Resize(24, 80),
            Type(":q\r"),
            Type("G"),
            Type("gg>10jzz"),
            Type(":terminal echo in a terminal\r"),
            Type("\x17k"),
            Type(":qa!\r"),
        ],
    },
    Program {
        name: "less",
        command: &["less", "-R", "-S", SOURCE],
        acts: &[
            Type(" "),
            Type(" "),
            Type("/self\r"),
            Type("n"),
            Type("\x1b[C"),
            Type("-S\r"),
            Resize(15, 50),
            Type("k"),
            Type("G"),
            Type("bb"),
            Type("h"),
            Type("q"),
            Resize(24, 80),
            Type("g"),
            Type("&fn\r"),
            Type("q"),
        ],
    },
    Program {
        name: "htop",
        command: &["htop", "-d", "10"],
        acts: &[
            Type("t"),
            Type("\x1b[B\x1b[B"),
            Type("\x1bOQ"),
            Type("\x1b"),
            Resize(20, 60),
            Type("u"),
            Type("\x1b"),
            Type("h"),
            Type(" "),
            Type("q"),
            Type("q"),
        ],
    },
    Program {
        name: "top",
        command: &["top", "-d", "1"],
        acts: &[Type("z"), Type("x"), Type("c"), Resize(18, 100), Type("1"), Type("V"), Type("q")],
    },
    Program {
        name: "tmux",
        command: &["tmux", "-u", "-f", "/dev/null", "new-session", "bash --noprofile --norc"],
        acts: &[
            Type("ls --color=always /\r"),
            Type("\x02%"),
            Type("seq 1 100\r"),
            Type("\x02\""),
            Type("printf '日本語 😀 \\e[31mred\\e[m\\n'\r"),
            Type("\x02o"),
            Resize(30, 100),
            Type("\x02z"),
            Type("\x02["),
            Type("\x1b[5~\x1b[5~"),
            Type("q"),
            Type("\x02z"),
            Resize(15, 44),
            Type("\x02w"),
            Type("q"),
            Type("\x02:"),
            Type("kill-server"),
            Type("\r"),
        ],
    },
    Program {
        name: "git log",
        command: &["sh", "-c", "cd r && git -c core.pager='less -R' log --graph --stat -p --color=always"],
        acts: &[Type(" "), Type(" "), Type("\x1b[B\x1b[B"), Resize(12, 60), Type(" "), Type("G"), Type("q")],
    },
    Program {
        name: "git log without a pager",
        command: &["sh", "-c", "cd r && git --no-pager log --graph --stat -p --color=always"],
        acts: &[Resize(30, 50), Resize(24, 90)],
    },
    Program {
        name: "ls",
        command: &[
            "sh",
            "-c",
            "ls --color=always -lR /usr/lib/git-core /etc | head -600; ls --color=always /usr/bin | head -400; ls -C --color=always /usr/share",
        ],
        acts: &[Resize(10, 40), Resize(24, 80)],
    },
    Program { name: "apt", command: &["sh", "-c", APT], acts: &[Resize(20, 70), Resize(24, 80)] },
    Program { name: "progress", command: &["sh", "-c", PROGRESS], acts: &[Resize(20, 70)] },
    Program {
        name: "text",
        command: &["sh", "-c", TEXT],
        acts: &[Resize(24, 37), Resize(12, 91), Resize(24, 80)],
    },
    Program {
        name: "python",
        command: &["python3", "-c", "import code, readline; code.interact(banner='')"],
        acts: &[
            Type("for i in range(30): print('\\x1b[3%dm' % (i % 8), i, '\\u3042' * i)\n\n"),
            Type("print("),
            Type("\x03"),
            Type("exit()\n"),
        ],
    },
];

/// What the programs find in their home.
pub fn furnish(home: &Path) {
    let made = Command::new("sh")
        .args(["-c", REPOSITORY])
        .current_dir(home)
        .env("HOME", home)
        .envs([
            ("GIT_AUTHOR_NAME", "A"),
            ("GIT_AUTHOR_EMAIL", "a@b.c"),
            ("GIT_COMMITTER_NAME", "A"),
            ("GIT_COMMITTER_EMAIL", "a@b.c"),
        ])
        .output()
        .expect("a shell");
    assert!(home.join("r/all").exists(), "the repository: {}", String::from_utf8_lossy(&made.stderr));
}
