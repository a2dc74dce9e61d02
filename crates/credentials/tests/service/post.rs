//! A mail server that takes what it is told to take, and shows what it took.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    commands: Vec<String>,
    /// Instead of `250` after the recipient.
    to_recipient: VecDeque<String>,
    /// Instead of `250` after the mail.
    to_mail: VecDeque<String>,
}

#[derive(Clone)]
pub(crate) struct Post {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Post {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let post = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = Arc::clone(&post.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&state)));
            }
        });
        post
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }

    pub(crate) fn answer_recipient(&self, answer: &str) {
        self.state.lock().unwrap().to_recipient.push_back(answer.to_owned());
    }

    pub(crate) fn answer_mail(&self, answer: &str) {
        self.state.lock().unwrap().to_mail.push_back(answer.to_owned());
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 post.test ESMTP\r\n").await.ok()?;
    let mut mail = Taken { from: String::new(), to: Vec::new(), data: String::new() };
    loop {
        let line = lines.next_line().await.ok()??;
        state.lock().unwrap().commands.push(line.clone());
        let verb = line.to_uppercase();
        let answer = if verb.starts_with("EHLO") {
            "250-post.test\r\n250 8BITMIME".to_owned()
        } else if verb.starts_with("MAIL FROM:") {
            mail.from = line[10..].to_owned();
            "250 ok".to_owned()
        } else if verb.starts_with("RCPT TO:") {
            mail.to.push(line[8..].to_owned());
            state.lock().unwrap().to_recipient.pop_front().unwrap_or("250 ok".to_owned())
        } else if verb == "DATA" {
            write.write_all(b"354 go on\r\n").await.ok()?;
            loop {
                let line = lines.next_line().await.ok()??;
                if line == "." {
                    break;
                }
                mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                mail.data.push_str("\r\n");
            }
            let mut state = state.lock().unwrap();
            let answer = state.to_mail.pop_front().unwrap_or("250 queued".to_owned());
            if answer.starts_with('2') {
                state.taken.push(mail.clone());
            }
            answer
        } else if verb == "QUIT" {
            "221 bye".to_owned()
        } else {
            "502 what?".to_owned()
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}
