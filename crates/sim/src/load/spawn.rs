//! The gateway of a load run: a process of its own, so that its CPU time and memory are its own.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, ensure};
use uuid::Uuid;

use super::Platform;
use crate::caller::siprec::Target;

/// How long the gateway may take over its end before it is killed.
const GOODBYE: Duration = Duration::from_secs(10);

/// A running gateway; dropping it ends the process and removes its files.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    folder: PathBuf,
    /// What it was told about itself.
    pub(crate) facts: Facts,
}

/// What both sides must agree on.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The API's base, `http://127.0.0.1:port`.
    pub(crate) base: String,
    /// The API key.
    pub(crate) api_key: (String, String),
    /// What Twilio signs with.
    pub(crate) auth_token: String,
    /// Where SIP is listened for, if it is.
    pub(crate) siprec: Target,
}

/// What kind of gateway is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The program, `antiphon`.
    pub(crate) program: &'a Path,
    /// Pin it to this CPU with `taskset`.
    pub(crate) cpu: Option<usize>,
    /// The speech service's base URL.
    pub(crate) service: &'a str,
    /// Whose calls it takes.
    pub(crate) platform: Platform,
    /// The chunk, such as `100ms`.
    pub(crate) chunk: &'a str,
    /// The CA file that the service's certificate hangs from.
    pub(crate) ca: Option<&'a Path>,
    /// Certificate and key of the gateway's own side.
    pub(crate) tls: Option<(&'a Path, &'a Path)>,
    /// Further sections of its configuration.
    pub(crate) more: &'a str,
}

impl Spawned {
    /// Writes the configuration and starts the program.
    ///
    /// # Errors
    /// When a file cannot be written or the program not started.
    pub(crate) fn start(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let scheme = if wanted.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let write = |address, facts: &Facts| configuration(wanted, address, facts);
        Self::configured(wanted.program, wanted.cpu, scheme, write)
    }

    /// Starts the program with a configuration of the caller's own making: `write` is told where
    /// the API shall listen.
    ///
    /// # Errors
    /// As [`Spawned::start`].
    pub(crate) fn configured(
        program: &Path,
        cpu: Option<usize>,
        scheme: &str,
        write: impl FnOnce(SocketAddr, &Facts) -> String,
    ) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("antiphon-load-{}", Uuid::new_v4()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let address = free_address()?;
        let facts = Facts {
            base: format!("{scheme}://{address}"),
            api_key: ("load".to_owned(), Uuid::new_v4().to_string()),
            auth_token: Uuid::new_v4().simple().to_string(),
            siprec: Target::udp(UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?),
        };
        let config = folder.join("antiphon.toml");
        fs::write(&config, write(address, &facts))?;
        // When its files may not grow any more, it shall be told so by errors only.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        if let Some(cpu) = cpu {
            command.args(["taskset", "-c", &cpu.to_string()]);
        }
        command.arg(program);
        let child = command.args(["serve", "--config"]).arg(&config).spawn();
        let child = child.with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self {
            child,
            folder,
            facts,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its configuration is, and what it keeps.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks it to end and waits.
    ///
    /// # Errors
    /// When it ends with anything but success, or not in time.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.terminate()?;
        self.ended(GOODBYE).await
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(asked.success(), "cannot ask the gateway to end");
        Ok(())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it ends with anything but success, or not in time.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<()> {
        let ended = tokio::time::timeout(within, async {
            loop {
                match self.child.try_wait() {
                    Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
                    ended => return ended,
                }
            }
        });
        let status = ended
            .await
            .context("the gateway does not end")??
            .context("no status")?;
        ensure!(status.success(), "the gateway ended with {status}");
        Ok(())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // All three fail only where there is nothing left to do.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A configuration whose limits are out of the load's way and whose defaults are the product's.
fn configuration(wanted: &Wanted<'_>, address: SocketAddr, facts: &Facts) -> String {
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    let tls = wanted.tls.map(|(cert, key)| {
        format!(
            "[http.tls]\ncert_file = {}\nkey_file = {}\n",
            quoted(cert),
            quoted(key)
        )
    });
    let ca = wanted.ca.map(|ca| format!("ca_file = {}\n", quoted(ca)));
    let siprec = match wanted.platform {
        Platform::Siprec => format!(
            "[siprec]\nlisten = [\"{}\"]\n\
             [[siprec.trunks]]\nname = \"load\"\nsources = [\"127.0.0.0/8\"]\n",
            facts.siprec
        ),
        Platform::Twilio => String::new(),
    };
    format!(
        "[http]\nlisten = \"{address}\"\npublic_url = \"{base}\"\n\
         {tls}\
         [[api_keys]]\nid = \"{id}\"\nsecret = \"{secret}\"\n\
         [twilio]\nauth_tokens = [\"{token}\"]\ntoken_secret = \"{jwt}\"\n\
         {siprec}\
         [upstream]\n{ca}\
         [upstream.autotranscribe]\nbase_url = \"{service}\"\n\
         api_id = \"load\"\napi_secret = \"load\"\nchunk = \"{chunk}\"\n\
         [limits]\nrequests_per_second = 100000\nrequests_burst = 100000\n\
         [shutdown]\ndrain_timeout = \"1s\"\n\
         [log]\nlevel = \"warn\"\n\
         {more}",
        base = facts.base,
        id = facts.api_key.0,
        secret = facts.api_key.1,
        token = facts.auth_token,
        jwt = Uuid::new_v4().simple(),
        tls = tls.unwrap_or_default(),
        ca = ca.unwrap_or_default(),
        service = wanted.service,
        chunk = wanted.chunk,
        more = wanted.more,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::provide::Certificate;

    #[test]
    fn the_gateway_itself_accepts_the_configuration() {
        let certificate = Certificate::new().unwrap();
        let wanted = Wanted {
            program: Path::new("antiphon"),
            cpu: None,
            service: "https://127.0.0.1:9100",
            chunk: "100ms",
            platform: Platform::Siprec,
            ca: Some(&certificate.cert),
            tls: Some((&certificate.cert, &certificate.key)),
            more: "[store]\nenabled = false\n",
        };
        let facts = Facts {
            base: "https://127.0.0.1:8080".to_owned(),
            api_key: ("load".to_owned(), "secret".to_owned()),
            auth_token: "token".to_owned(),
            siprec: Target::udp(([127, 0, 0, 1], 5060).into()),
        };
        let text = configuration(&wanted, ([127, 0, 0, 1], 8080).into(), &facts);
        let config = gateway::config::Config::parse(Path::new("load.toml"), &text, []).unwrap();
        assert!(text.contains("listen = [\"udp:127.0.0.1:5060\"]"));
        assert!(config.http.tls.files().is_some() && config.upstream.ca_file.is_some());
        assert_eq!(
            config.upstream.autotranscribe().map(|own| own.chunk),
            Some(Duration::from_millis(100))
        );
    }
}
