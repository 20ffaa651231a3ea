//! Every name of every call: a command may name a call by any identifier of its media session.
//!
//! Names are in normal form. A name that two live calls claim leads to the one that claimed it last
//! and, once that is over, to the other. A call's own name leads to no other call.

use std::collections::HashMap;

use call::name::{CallName, Guid};

use super::Desk;

/// More names of one call are not kept: they come from the network.
const NAMES_MAX: usize = 32;

/// Which call a name means.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Who goes by a name, the newest last.
    claims: HashMap<CallName, Vec<CallName>>,
    /// By which names a call goes, beside its own.
    of: HashMap<CallName, Vec<CallName>>,
}

/// What came of adding names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// How many were new.
    pub(super) new: usize,
    /// How many of these another call has too.
    pub(super) shared: usize,
    /// How many were too many.
    pub(super) left_out: usize,
}

impl Names {
    /// Adds other names of a call; those that it has already change nothing.
    pub(super) fn add(&mut self, call: &CallName, guids: &[Guid]) -> Added {
        let mut added = Added::default();
        for guid in guids {
            let name = CallName {
                namespace: call.namespace,
                guid: guid.clone(),
            };
            let names = self.of.entry(call.clone()).or_default();
            if name == *call || names.contains(&name) {
                continue;
            }
            if names.len() >= NAMES_MAX {
                added.left_out += 1;
                continue;
            }
            names.push(name.clone());
            let claims = self.claims.entry(name).or_default();
            added.new += 1;
            added.shared += usize::from(!claims.is_empty());
            claims.push(call.clone());
        }
        added
    }

    /// The names of a call beside its own.
    pub(super) fn of(&self, call: &CallName) -> &[CallName] {
        self.of.get(call).map_or(&[], Vec::as_slice)
    }

    /// The call that goes by a name, if it is not that call's own.
    fn whose(&self, name: &CallName) -> Option<&CallName> {
        self.claims.get(name)?.last()
    }

    /// A call is over, and its names with it.
    fn forget(&mut self, call: &CallName) {
        for name in self.of.remove(call).unwrap_or_default() {
            if let Some(claims) = self.claims.get_mut(&name) {
                claims.retain(|claim| claim != call);
                if claims.is_empty() {
                    self.claims.remove(&name);
                }
            }
        }
    }
}

impl Desk {
    /// The call that a name means; the name itself if no call goes by it.
    pub(super) fn resolve(&self, name: &CallName) -> CallName {
        let is_own = self.calls.contains_key(name);
        let other = self.names.whose(name).filter(|_| !is_own);
        other.unwrap_or(name).clone()
    }

    /// Adds names of a call, and tells those who follow them.
    pub(super) fn add_names(&mut self, call: &CallName, guids: &[Guid]) {
        let added = self.names.add(call, guids);
        if added.new > 0 {
            self.world.bus.also_known_as(call, self.names.of(call));
        }
        if added.shared > 0 {
            self.world.metrics.call_names_shared(added.shared);
            let names = added.shared;
            tracing::warn!(%call, names, "A newer call goes by names of another live call.");
        }
        if added.left_out > 0 {
            self.world.metrics.call_names_left_out(added.left_out);
        }
    }

    /// A call is over, and its names with it.
    pub(super) fn forget_names(&mut self, call: &CallName) {
        self.names.forget(call);
        self.world.bus.known_no_more(call);
    }
}

#[cfg(test)]
mod tests {
    use call::name::Namespace;
    use proptest::prelude::*;

    use super::*;

    fn guid(text: &str) -> Guid {
        Guid::parse(text).unwrap()
    }

    fn name(text: &str) -> CallName {
        CallName {
            namespace: Namespace::Siprec,
            guid: guid(text),
        }
    }

    #[test]
    fn a_call_goes_by_each_of_its_names_until_it_is_over() {
        let mut names = Names::default();
        let added = names.add(
            &name("call"),
            &[guid("call"), guid("a"), guid("b"), guid("a")],
        );
        assert_eq!((added.new, added.shared, added.left_out), (2, 0, 0));
        assert_eq!(names.of(&name("call")), [name("a"), name("b")]);
        assert_eq!(names.whose(&name("b")), Some(&name("call")));
        assert_eq!(names.whose(&name("call")), None);
        let elsewhere = CallName {
            namespace: Namespace::Twilio,
            guid: guid("a"),
        };
        assert_eq!(names.whose(&elsewhere), None);
        names.forget(&name("call"));
        assert_eq!(names.whose(&name("a")), None);
        assert!(names.claims.is_empty() && names.of.is_empty());
    }

    #[test]
    fn a_shared_name_means_the_newest_call_and_then_the_other() {
        let mut names = Names::default();
        names.add(&name("old"), &[guid("a")]);
        let added = names.add(&name("new"), &[guid("a"), guid("b")]);
        assert_eq!((added.new, added.shared), (2, 1));
        assert_eq!(names.whose(&name("a")), Some(&name("new")));
        assert_eq!(names.add(&name("old"), &[guid("a")]), Added::default());
        assert_eq!(names.whose(&name("a")), Some(&name("new")));
        names.forget(&name("new"));
        assert_eq!(names.whose(&name("a")), Some(&name("old")));
        names.forget(&name("old"));
        assert!(names.claims.is_empty());
    }

    #[test]
    fn too_many_names_are_left_out() {
        let mut names = Names::default();
        let many: Vec<_> = (0..NAMES_MAX + 3).map(|n| guid(&n.to_string())).collect();
        let added = names.add(&name("call"), &many);
        assert_eq!((added.new, added.left_out), (NAMES_MAX, 3));
        assert_eq!(names.claims.len(), NAMES_MAX);
    }

    proptest! {
        #[test]
        fn nothing_is_left_of_calls_that_are_over(
            steps in proptest::collection::vec((0..4usize, 0..6usize, any::<bool>()), 0..60),
        ) {
            let mut names = Names::default();
            for (call, alias, is_over) in steps {
                let call = name(&format!("call{call}"));
                if is_over {
                    names.forget(&call);
                    prop_assert!(names.of(&call).is_empty());
                } else {
                    let alias = format!("alias{alias}");
                    names.add(&call, &[guid(&alias)]);
                    prop_assert!(names.whose(&name(&alias)).is_some());
                }
                for (name, claims) in &names.claims {
                    prop_assert!(!claims.is_empty());
                    prop_assert!(claims.iter().all(|call| names.of(call).contains(name)));
                }
            }
            (0..4).for_each(|call| names.forget(&name(&format!("call{call}"))));
            prop_assert!(names.claims.is_empty() && names.of.is_empty());
        }
    }
}
