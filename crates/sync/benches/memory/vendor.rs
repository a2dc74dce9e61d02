//! The simulator, in a process of its own: this program again, with a word.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use tidemark_domain::Clock as _;
use tidemark_productboard_sim::{Options, Simulator, Workspace, WorkspaceSpec};

pub(crate) const AS_VENDOR: &str = "as-vendor";

pub(crate) struct Vendor {
    pub(crate) base_url: String,
    process: Child,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn token(who: &str, number: usize) -> String {
    format!("{who}-{number}")
}

impl Vendor {
    /// The last workspace has so many members.
    pub(crate) async fn start(workspaces: usize, members: usize, last: usize) -> Self {
        Self::serving(&[workspaces, members, last]).await
    }

    /// One workspace with so many notes and as many entities.
    pub(crate) async fn with_notes(members: usize, notes: usize) -> Self {
        Self::serving(&[1, members, members, notes]).await
    }

    async fn serving(numbers: &[usize]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(AS_VENDOR).args(numbers.iter().map(ToString::to_string));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(process.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            told.read_line(&mut line).map(|_| line)
        });
        Self { base_url: line.await.unwrap().unwrap().trim().to_owned(), process }
    }
}

/// Serves until the standard input ends.
pub(crate) fn serve(arguments: &[usize]) {
    let (&[workspaces, members, last], notes) = arguments.split_first_chunk().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = Options { requests_per_second: 0, ..Options::default() };
        let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        for number in 0..workspaces {
            let members = if number + 1 == workspaces { last } else { members };
            let spec =
                WorkspaceSpec::new(format!("w{number}"), members, tidemark_runtime::SystemClock.today());
            let spec = match notes {
                [notes] => spec.notes(*notes).entities(*notes),
                _ => spec,
            };
            simulator.add(Workspace::generate(&spec), token("engine", number));
        }
        println!("{}", simulator.base_url());
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        ended.await.unwrap().unwrap();
    });
}
