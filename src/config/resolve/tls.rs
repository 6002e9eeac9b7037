//! What TLS needs, towards the server and towards clients: files are read, and what contradicts each other is told.

use std::path::Path;
use std::sync::Arc;

use super::{Listen, Mistake, Resolving, secret};
use crate::session::AuthMode;
use crate::tls::backend::{BackendTls, BackendTlsSettings};
use crate::tls::listener::{ListenTls, ListenTlsSettings};
use crate::tls::subject::CertificateUser;

impl Resolving<'_> {
    /// What TLS towards the server needs, if the URL has it spoken.
    pub(super) fn backend_tls(&mut self) {
        let runtime = &mut self.draft.config.runtime;
        let settings = &runtime.backend_tls_settings;
        if !self.draft.url.tls {
            if *settings != BackendTlsSettings::default() {
                let text =
                    "backend.tls means nothing for a server without TLS: is rediss:// meant?";
                let at = self.origins.of("backend.url");
                self.warnings.push(format!("{at}: {text}"));
            }
            return;
        }
        let key = settings.key_file.as_deref();
        self.warnings
            .extend(key.and_then(secret::warning_about_key));
        match BackendTls::load(settings) {
            Ok(tls) => runtime.backend_tls = Some(Arc::new(tls)),
            Err(error) => {
                let mistake = Mistake::about(self.origins.of(error.key), error.key, error.why);
                self.mistakes.push(mistake);
            }
        }
    }

    /// What TLS towards clients needs, if an address has it spoken.
    pub(super) fn client_tls(&mut self) {
        let config = &mut self.draft.config;
        let settings = &config.runtime.client_tls_settings;
        let spoken = |listen: &Listen| matches!(listen, Listen::Tls(_));
        if !config.runtime.listen.iter().any(spoken) {
            if *settings != ListenTlsSettings::default() {
                let text = "[tls] means nothing where no address has TLS: is \"tls:\" in front of one meant?";
                let at = self.origins.of("listen.addresses");
                self.warnings.push(format!("{at}: {text}"));
            }
            return;
        }
        if settings.client_user != CertificateUser::None && config.auth.mode != AuthMode::Local {
            let text = "needs auth.mode = \"local\": only users of this configuration are logged in by \
                        their certificates";
            self.contradiction(&["tls.client_user", "auth.mode"], text.to_owned());
            return;
        }
        let keys = settings.key_files.iter().map(Path::new);
        self.warnings
            .extend(keys.filter_map(secret::warning_about_key));
        match ListenTls::load(settings) {
            Ok(tls) => config.runtime.client_tls = Some(Arc::new(tls)),
            Err(error) => {
                let mistake = Mistake::about(self.origins.of(error.key), error.key, error.why);
                self.mistakes.push(mistake);
            }
        }
    }
}
