//! A network of its own for one Redis: a namespace behind a pair of virtual interfaces. When its
//! end of the wire is pulled, packets vanish without an RST or an ICMP message, as on a real
//! network. It needs root and `ip`; where either is missing the caller is told why. Only what was
//! made here is removed, and that happens on drop.

use std::process::Command;

/// One namespace, its name and addresses derived from this process.
pub(crate) struct Namespace {
    name: String,
    /// Our end of the wire.
    near: String,
    subnet: String,
}

impl Namespace {
    /// Why not, where the rights or the program are missing.
    pub(crate) fn create() -> Result<Self, String> {
        let pid = std::process::id();
        // 198.18.0.0/15 is set aside for tests between two machines (RFC 2544).
        let subnet = format!("198.18.{}", pid % 250 + 1);
        let namespace = Self {
            name: format!("nrw-{pid}"),
            near: format!("nrw{pid}"),
            subnet,
        };
        namespace.build()?;
        Ok(namespace)
    }

    /// The address of the far end, where the server listens.
    pub(crate) fn address(&self) -> String {
        format!("{}.2", self.subnet)
    }

    /// `program`, to be run inside.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Every packet in either direction vanishes.
    pub(crate) fn pull_the_wire(&self) {
        self.inside("ip link set wire down").unwrap();
    }

    /// The far end is back with its address.
    pub(crate) fn plug_the_wire(&self) {
        self.inside("ip link set wire up").unwrap();
    }

    fn build(&self) -> Result<(), String> {
        let (name, near, subnet) = (&self.name, &self.near, &self.subnet);
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {near} type veth peer name wire netns {name}"
        ))?;
        ip(&format!("addr add {subnet}.1/30 dev {near}"))?;
        ip(&format!("link set {near} up"))?;
        self.inside(&format!("ip addr add {subnet}.2/30 dev wire"))?;
        self.inside("ip link set lo up")?;
        self.inside("ip link set wire up")
    }

    fn inside(&self, line: &str) -> Result<(), String> {
        ip(&format!("netns exec {} {line}", self.name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Either may be missing when it was not built whole. With the one end goes the other.
        let _ = ip(&format!("link del {}", self.near));
        let _ = ip(&format!("netns del {}", self.name));
    }
}

fn ip(line: &str) -> Result<(), String> {
    let output = Command::new("ip")
        .args(line.split(' '))
        .output()
        .map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {line}: {}", text.trim()))
}
