//! Addresses: where we and where services live.

use call::private::Private;
use url::Url;

use super::{Around, Blank, Kind, Wrong, quoted};
use crate::config::tree::Entry;

/// Where WebSockets are opened: scheme, host, perhaps a port and a path.
pub(in crate::config) struct SocketUrl;
/// Where events are sent: as [`WebUrl`], and with a query, which is shown as dots.
pub(in crate::config) struct TargetUrl;
/// Where requests go: scheme, host, perhaps a port and a path.
pub(in crate::config) struct WebUrl;

impl Kind for SocketUrl {
    type Value = Url;

    fn wants(&self) -> String {
        "a wss or ws URL without user, query and fragment".to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<Url, Wrong> {
        read(entry, ["ws", "wss"], self.wants())
    }

    fn show(&self, value: &Url) -> String {
        quoted(value.as_str())
    }
}

impl Kind for TargetUrl {
    type Value = Private<Url>;

    fn wants(&self) -> String {
        "an http or https URL without user and fragment".to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<Private<Url>, Wrong> {
        let given = entry.node.text().and_then(|text| Url::parse(text).ok());
        let fits = |url: &Url| {
            let mut plain = url.clone();
            plain.set_query(None);
            is_plain(&plain, ["http", "https"])
        };
        // It may hold a secret, so it is not shown.
        let expected = || Wrong::Because(format!("expected {}", self.wants()));
        given.filter(fits).map(Private::new).ok_or_else(expected)
    }

    fn show(&self, value: &Private<Url>) -> String {
        let mut shown = value.reveal().clone();
        if shown.query().is_none() {
            return quoted(shown.as_str());
        }
        shown.set_query(None);
        quoted(&format!("{shown}?•••"))
    }
}

impl Blank for TargetUrl {
    fn blank(&self) -> Private<Url> {
        WebUrl.blank().into()
    }
}

impl Kind for WebUrl {
    type Value = Url;

    fn wants(&self) -> String {
        "an http or https URL without user, query and fragment".to_owned()
    }

    fn read(&self, entry: &Entry, _: &Around) -> Result<Url, Wrong> {
        read(entry, ["http", "https"], self.wants())
    }

    fn show(&self, value: &Url) -> String {
        quoted(value.as_str())
    }
}

impl Blank for WebUrl {
    fn blank(&self) -> Url {
        Url::parse("https://blank.invalid").expect("a literal that is a URL")
    }
}

fn read(entry: &Entry, schemes: [&str; 2], wants: String) -> Result<Url, Wrong> {
    let url = entry
        .node
        .text()
        .and_then(|text| Url::parse(text).ok())
        .ok_or(Wrong::Unlike)?;
    let plain = is_plain(&url, schemes);
    // What is not plain may hold a secret, so it is not shown.
    let expected = || Wrong::Because(format!("expected {wants}"));
    plain.then_some(url).ok_or_else(expected)
}

fn is_plain(url: &Url, schemes: [&str; 2]) -> bool {
    schemes.contains(&url.scheme())
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}
