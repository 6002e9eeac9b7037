//! By which backend a plain request travels.

use crate::command::Spec;
use crate::engine::Rules;
use crate::engine::clients::hold::{Hold, RequestOutcome};
use crate::engine::key::ClientId;
use crate::engine::reach::Traffic;
use crate::engine::slot::{Receiver, RetryClass, access_of};

impl Traffic<'_> {
    /// Sends a request down the pipe that carries the client's earlier ones, or down any
    /// pipe of its context if there are none.
    pub fn forward(
        &mut self,
        id: ClientId,
        rules: &Rules,
        bytes: &[u8],
        spec: &Spec,
        receiver: Receiver,
    ) -> RequestOutcome {
        let (clients, pool) = (&rules.settings.clients, &rules.settings.pool);
        let access = access_of(spec);
        let Some(client) = self.clients.get_mut(id) else {
            return RequestOutcome::Ended;
        };
        if client.in_flight as usize >= clients.in_flight_max {
            return client.hold(Hold::Room);
        }
        if client.out.len() > clients.output_pause_bytes {
            return client.hold(Hold::Output);
        }
        let (context, in_flight, current_backend) =
            (client.context(), client.in_flight, client.current_backend);
        let current_backend = if in_flight == 0 {
            let key = self.pool.key_of(context);
            match self
                .pool
                .pick(self.cx, key, access, bytes.len(), &rules.settings)
            {
                Some(pipe) => pipe,
                None => {
                    let busy = self.clients.answer_busy(self.cx, id, spec);
                    return busy.unwrap_or_else(|| self.wait_for_pipe(id, rules));
                }
            }
        } else if self
            .pool
            .goes_on(context, current_backend, access, bytes.len(), pool)
        {
            current_backend
        } else {
            return self.clients.hold(id, Hold::Replies);
        };
        self.send(
            id,
            current_backend,
            bytes,
            spec,
            receiver,
            RetryClass::of(spec),
        );
        RequestOutcome::Taken
    }
}
