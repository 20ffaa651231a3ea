//! What a load run needs of its surroundings: open files, and certificates when it uses TLS.

use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};

use anyhow::{Context, ensure};
use uuid::Uuid;

use super::Platform;

/// Descriptors beyond the sockets: files, pipes, listeners, the runtime's own.
const SPARE_FILES: usize = 256;

/// A certificate for loopback and its key, as files that go away with this.
#[derive(Debug)]
pub(crate) struct Certificate {
    folder: PathBuf,
    /// The certificate, which is also what its clients have to trust.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes a self-signed one.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("antiphon-load-tls-{}", Uuid::new_v4()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names)?;
        let certificate = Self {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            folder,
        };
        fs::write(&certificate.cert, made.cert.pem())?;
        fs::write(&certificate.key, made.signing_key.serialize_pem())?;
        Ok(certificate)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // What cannot be removed stays in the folder for temporary files.
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Allows this process, and the gateway that it spawns, the sockets of so many calls: one or, with
/// their RTCP, four towards the caller, and two towards the service.
pub(crate) fn open_files(calls: usize, platform: Platform) -> anyhow::Result<()> {
    let sockets = match platform {
        Platform::Siprec => 6,
        Platform::Twilio => 3,
    };
    allow_files(calls * sockets + SPARE_FILES)
}

/// Allows this process, and what it spawns, so many open files.
pub(crate) fn allow_files(needed: usize) -> anyhow::Result<()> {
    let (soft, hard) = file_limits()?;
    if soft >= needed {
        return Ok(());
    }
    let raised = needed.max(hard.min(65_536));
    let pid = process::id().to_string();
    let limit = format!("--nofile={raised}:{hard}");
    let asked = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    let (soft, _) = file_limits()?;
    let told = asked.map_or_else(|error| error.to_string(), |status| status.to_string());
    ensure!(
        soft >= needed,
        "{needed} open files are needed and {soft} are allowed (prlimit: {told}); \
         try `ulimit -n {needed}`"
    );
    Ok(())
}

/// Soft and hard.
fn file_limits() -> anyhow::Result<(usize, usize)> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut numbers = line
        .context("no limit of open files")?
        .split_whitespace()
        .map(|number| number.parse().unwrap_or(usize::MAX));
    let both = numbers.next().zip(numbers.next());
    both.context("the limit of open files is not what proc(5) says")
}
