//! This program once more, in a process of its own: what it measures beside, or against.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context as _, Result};

/// A command of this program in a process of its own, which is killed when this is dropped.
pub(crate) struct Beside {
    /// The line that it printed first: where it listens.
    pub(crate) address: String,
    child: Child,
    /// Its standard input, unless that was all there is to read.
    _input: Option<ChildStdin>,
}

impl Beside {
    /// Starts it; with an `input`, that is all that it reads, otherwise its standard input ends with this process.
    pub(crate) fn start(command: &str, input: Option<&[u8]>) -> Result<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut pipe = child.stdin.take();
        if let (Some(input), Some(mut pipe)) = (input, pipe.take_if(|_| input.is_some())) {
            pipe.write_all(input)?;
        }
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        Ok(Self { address: line.trim().to_owned(), child, _input: pipe })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
