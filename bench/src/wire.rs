//! Bytes on the wire: what a connection carries to the client for what a program prints, while somebody works. Must not
//! know how frames are made.

mod desk;
mod relay;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, ensure};
use devpocket_tests::client::Framing;
use tempfile::TempDir;

use crate::contender::Contender;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use desk::{Carried, Desk};

/// What somebody types, key by key, and looks at, each so many times. `{}` is the directory of the files below. There is so much
/// to look at beside what is typed that ssh takes about 112 % of what is printed, as it did where the targets come from.
const WORK: [(&str, &[(&str, usize)]); 4] = [
    (
        "a shell",
        &[
            ("ls -l --color=always /usr/bin | tail -n 60", 1),
            ("\r", 1),
            ("cat /etc/os-release", 1),
            ("\r", 1),
            ("ps aux", 1),
            ("\r", 1),
            ("less {}/text.rs", 1),
            ("\r", 1),
            (" ", 20),
            ("b", 10),
            ("q", 1),
        ],
    ),
    (
        "vim",
        &[
            ("vim -u {}/vimrc {}/text.rs", 1),
            ("\r", 1),
            ("\x06", 20),
            ("\x02", 20),
            ("10jdd5jddp", 1),
            ("GO", 1),
            ("The quick brown fox jumps over the lazy dog.", 1),
            ("\x1b", 1),
            ("gg", 1),
            ("\x06", 2),
            ("/param", 1),
            ("\r", 1),
            (":q!", 1),
            ("\r", 1),
        ],
    ),
    ("a progress bar", &[("sh {}/progress", 1), ("\r", 1)]),
    (
        "htop",
        &[
            ("htop -d 5", 1),
            ("\r", 1),
            ("\x1b[B", 2),
            ("\x1b[A", 1),
            ("\x1b[6~", 3),
            ("\x1b[5~", 3),
            ("", 80),
            ("q", 1),
        ],
    ),
];
/// Files that are worked with, by name.
const FILES: [(&str, &str); 2] = [
    ("vimrc", "set nocompatible nomore number hlsearch viminfo= noswapfile\nsyntax on\n"),
    (
        "progress",
        "i=0; while [ $i -le 100 ]; do printf '\\r[%-50s] %3d%% %6d kB/s' \"$(printf '%*s' $((i / 2)) '' | tr ' ' '#')\" $i \\\n\
         $((i * 7919 % 9000)); i=$((i + 1)); sleep 0.02; done; echo\n",
    ),
];
/// Read in less and vim: source code of more than 20 screens.
const TEXT: &str = include_str!("../../ptyd/screen/src/parser.rs");

/// Per cent of the payload: ours plain and compressed, ssh's too, and a web terminal's plain.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let takes_part = |one: &Contender| [Contender::Ssh, Contender::NodePty, Contender::Unix].contains(one);
    let contenders = options.contenders_and_node_pty().into_iter();
    let rig = Rig::start(contenders.filter(takes_part).collect()).await?;
    let files = files()?;
    let mut rows = Vec::new();
    for (name, framing, bound) in [("plain", Framing::Binary, 106.0), ("compressed", Framing::Deflate, 25.0)]
    {
        let title = |what: &str| format!("bytes to the client, of what was printed: {what}, {name}");
        let mut parts: Vec<Row> = WORK.iter().map(|(what, _)| Row::new(title(what), "%")).collect();
        let mut all = Row::new(title("all of it"), "%");
        // ws compresses nothing unless it is told to, and its documentation advises against it.
        let takes_part = |one: &&Contender| **one != Contender::NodePty || framing == Framing::Binary;
        for contender in rig.contenders.iter().filter(takes_part) {
            let mut desk = Desk::start(&rig, *contender, framing).await.context(contender.name())?;
            let mut total = Carried::default();
            for ((what, steps), row) in WORK.iter().zip(&mut parts) {
                let before = desk.carried();
                desk.work(steps, files.path())
                    .await
                    .with_context(|| format!("{}: {what}", contender.name()))?;
                let part = desk.carried() - before;
                ensure!(part.printed > 0, "{what} prints nothing");
                row.add(*contender, part.per_cent());
                total = total + part;
            }
            all.add(*contender, total.per_cent());
        }
        all.expect(Contender::Unix, Target::AtMost(bound));
        all.compare(Contender::Unix, Contender::Ssh, Target::AtMost(0.95));
        all.compare(Contender::Unix, Contender::NodePty, Target::None);
        rows.extend(parts);
        rows.push(all);
    }
    Ok(rows)
}

/// The files, where everybody may read them.
fn files() -> anyhow::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("devpocket-wire-").tempdir_in("/tmp")?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
    for (name, text) in FILES.into_iter().chain([("text.rs", TEXT)]) {
        let path = directory.path().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(directory)
}
