//! Users and parameters of addresses in any dress: `"Name" <sip:u@h;p=1>;tag=2`, `u@h`, `tel:1`.

/// The user of an address, without scheme, parameters and a leading `+`.
pub(crate) fn user(address: &str) -> Option<&str> {
    let uri = bracketed(address).unwrap_or(address).trim();
    let rest = ["sips:", "sip:", "tel:"]
        .iter()
        .find_map(|scheme| {
            let head = uri.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme)
                .then(|| &uri[scheme.len()..])
        })
        .unwrap_or(uri);
    let user = rest.split(['@', ';']).next()?.trim();
    let user = user.strip_prefix('+').unwrap_or(user);
    (!user.is_empty()).then_some(user)
}

/// A parameter of a URI or behind it: `Some(None)` where it has no value.
pub(crate) fn param<'a>(address: &'a str, wanted: &str) -> Option<Option<&'a str>> {
    let begin = address.rfind('<').unwrap_or(0);
    let mut params = address[begin..].split([';', '>', '?']).skip(1);
    params.find_map(|param| {
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (name, Some(value.trim().trim_matches('"'))),
            None => (param, None),
        };
        let value = value.filter(|value| !value.is_empty());
        name.trim().eq_ignore_ascii_case(wanted).then_some(value)
    })
}

fn bracketed(address: &str) -> Option<&str> {
    let begin = address.rfind('<')? + 1;
    let length = address[begin..].find('>')?;
    Some(&address[begin..begin + length])
}
