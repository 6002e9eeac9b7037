//! What holds now of everything that may be replaced while narrows runs: the settings of the
//! runtime, the rules of the engines, and where the servers are. Only the control thread replaces them; everybody else
//! takes what holds at the moment of use and keeps no copy for longer than one thing to be done.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::engine::Rules;
use crate::topology::Topology;

use super::settings::RuntimeSettings;

/// See the module.
pub struct Current {
    settings: ArcSwap<RuntimeSettings>,
    rules: ArcSwap<Rules>,
    topology: ArcSwap<Topology>,
}

impl Current {
    /// What narrows begins with.
    pub fn new(settings: RuntimeSettings, rules: Rules) -> Self {
        Self {
            topology: ArcSwap::from_pointee(Topology::standalone(settings.backend.clone())),
            settings: ArcSwap::from_pointee(settings),
            rules: ArcSwap::from_pointee(rules),
        }
    }

    /// The settings of the runtime that hold now.
    pub fn settings(&self) -> Arc<RuntimeSettings> {
        self.settings.load_full()
    }

    /// The rules that hold now.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Where the servers are now.
    pub fn topology(&self) -> Arc<Topology> {
        self.topology.load_full()
    }

    /// Other settings hold from now on. Where they name another server there is a new picture of
    /// where the servers are.
    pub fn set_settings(&self, settings: RuntimeSettings) -> Option<Arc<Topology>> {
        let before = self.topology();
        let is_there = before.address_of(before.endpoint()) == Some(&settings.backend);
        let moved = (!is_there).then(|| Arc::new(before.replaced_by(settings.backend.clone())));
        if let Some(moved) = &moved {
            self.topology.store(Arc::clone(moved));
        }
        self.settings.store(Arc::new(settings));
        moved
    }

    /// Other rules hold from now on: those that hold now, with what `change` makes of them, so
    /// that what one has changed is not undone by another.
    pub fn change_rules(&self, change: impl FnOnce(&Rules) -> Rules) -> Arc<Rules> {
        let rules = Arc::new(change(&self.rules.load()));
        self.rules.store(Arc::clone(&rules));
        rules
    }
}

/// `narrows:<instance>:<role>`, as the server's `CLIENT LIST` is to show it.
pub fn connection_name(settings: &RuntimeSettings, role: &str) -> String {
    let instance = match settings.instance.as_str() {
        "" => {
            let host = rustix::system::uname();
            let host = host.nodename().to_string_lossy().into_owned();
            format!("{host}-{}", std::process::id())
        }
        instance => instance.to_owned(),
    };
    format!("narrows:{instance}:{role}")
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '-' })
        .collect()
}
