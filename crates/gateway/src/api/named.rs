//! The call that a command or a path names.

use std::sync::Arc;

use call::name::{BadGuid, CallName, Guid, Namespace};

/// A call as somebody names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its name, with the guid in normal form.
    pub(super) call: CallName,
    /// The guid as it was written.
    pub(super) written: Arc<str>,
}

impl Named {
    /// SIPREC's identifiers have several spellings, which all mean the same; some have blanks.
    /// Every other platform's have one.
    pub(super) fn new(namespace: Namespace, written: &str) -> Result<Self, BadGuid> {
        let guid = match namespace {
            Namespace::Siprec => {
                if written.len() > Guid::CHARS_MAX {
                    return Err(BadGuid::TooLong);
                }
                if written.trim() != written {
                    return Err(BadGuid::Unprintable);
                }
                Guid::parse(&written.replace(' ', ""))?;
                Guid::parse(&ingress::siprec::guid_normal(written))?
            }
            Namespace::AmazonConnect | Namespace::GenesysAudioHook | Namespace::Twilio => {
                Guid::parse(written)?
            }
        };
        Ok(Self {
            call: CallName { namespace, guid },
            written: written.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_a_siprec_guid_names_the_same_call() {
        let named = |written: &str| Named::new(Namespace::Siprec, written).unwrap();
        let same = |spellings: [&str; 3]| {
            let [first, ..] = spellings;
            for spelling in spellings {
                assert_eq!(named(spelling).call, named(first).call, "{spelling}");
                assert_eq!(&*named(spelling).written, spelling);
            }
        };
        same([
            "00001062071351848269",
            "0001183F5093914D",
            "00FA080001183F5093914D;encoding=hex",
        ]);
        same([
            "0867617078-0032318833-2221801472-0002236962",
            "867617078-32318833-2221801472-2236962",
            "867617078 - 32318833 - 2221801472 - 2236962",
        ]);
    }

    #[test]
    fn another_platforms_guid_is_taken_as_it_is() {
        let named = Named::new(Namespace::Twilio, "0001183F5093914D").unwrap();
        assert_eq!(named.call.guid.as_str(), "0001183F5093914D");
        let blank = Named::new(Namespace::Twilio, "a b");
        assert_eq!(blank, Err(BadGuid::Unprintable));
    }

    #[test]
    fn a_siprec_guid_has_visible_characters_and_blanks_and_not_too_many() {
        let refused = |written: &str| Named::new(Namespace::Siprec, written).unwrap_err();
        assert_eq!(refused(""), BadGuid::Empty);
        assert_eq!(refused(" 1"), BadGuid::Unprintable);
        assert_eq!(refused("a\nb"), BadGuid::Unprintable);
        assert_eq!(refused(&"1".repeat(129)), BadGuid::TooLong);
    }

    proptest! {
        #[test]
        fn a_name_in_normal_form_is_its_own(written in "[ -~]{1,40}") {
            if let Ok(named) = Named::new(Namespace::Siprec, &written) {
                let again = Named::new(Namespace::Siprec, named.call.guid.as_str()).unwrap();
                prop_assert_eq!(again.call, named.call);
            }
        }
    }
}
