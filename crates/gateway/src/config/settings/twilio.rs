//! `[twilio]`: the ingress for Twilio Media Streams.

use std::time::Duration;

use call::leg::LegConfig;
use call::private::Private;
use ingress::twilio::TwilioConfig;

use super::{DAY, Http, Limits, ms, s};
use crate::config::kind::{Count, Flag, List, Period, Secret, Size, Text};
use crate::config::section::{Field, Section, Settings, preset, required, tables};

settings! {
    /// Twilio Media Streams. Tokens, keys and secrets are read again on SIGHUP.
    pub struct Twilio {
        /// The auth tokens by which Twilio signs: that of the account, of each subaccount, and the
        /// secondary one while it is rotated. One is needed, or a shared key, while signatures are
        /// required.
        auth_tokens: Vec<Private<String>> = preset(List(Secret, 100), Vec::new());
        /// Whether a media stream without a good signature is refused. Turn it off only where
        /// nobody but Twilio can reach the gateway.
        require_signature: bool = preset(Flag, true);
        /// Signs the short-lived token in the media stream's URL. 32 random bytes or more; the same
        /// on all gateways behind one `public_url`.
        token_secret: Private<String> = required(Secret, "env:ANTIPHON_TOKEN_SECRET");
        /// Former values of `token_secret`, or its next one, whose tokens are accepted besides.
        token_secrets_accepted: Vec<Private<String>> = preset(List(Secret, 10), Vec::new());
        /// How long the media stream's URL may be used. It is checked when a stream opens, never
        /// later, and opens any number of streams.
        token_ttl: Duration = preset(Period(s(1)..=DAY), TwilioConfig::default().token_ttl);
        /// How long an open socket may take over its `start` message.
        start_timeout: Duration =
            preset(Period(ms(100)..=s(300)), TwilioConfig::default().start_timeout);
        /// A call whose sound has not come for so long is over, though its socket may live on.
        media_timeout: Duration =
            preset(Period(s(1)..=DAY), TwilioConfig::default().media_timeout);
        /// A socket without a live call on which nothing came for so long is closed.
        socket_timeout: Duration =
            preset(Period(s(1)..=DAY), TwilioConfig::default().socket_timeout);
        /// How long closing a socket may take.
        close_timeout: Duration =
            preset(Period(ms(10)..=s(60)), TwilioConfig::default().close_timeout);
        /// Media streams at a time; one more is answered 503.
        sockets_max: usize =
            preset(Count(1..=1_000_000), TwilioConfig::default().sockets_max);
        /// A longer message closes its socket.
        message_bytes_max: usize =
            preset(Size(4 << 10..=16 << 20), TwilioConfig::default().message_bytes_max);
        /// So many messages in a row that cannot be understood close their socket.
        bad_messages_max: u32 =
            preset(Count(1..=1_000_000), TwilioConfig::default().bad_messages_max);
        /// A jump of the clock up to this is lost sound and filled with silence; a longer one is a
        /// discontinuity, and the service hears nothing of it.
        gap_fill_max: Duration = preset(Period(s(0)..=s(60)), LegConfig::default().gap_fill_max);
        /// How many frames may wait for one that they have overtaken. 0: none.
        order_frames: usize = preset(Count(0..=100), LegConfig::default().order_frames);
        /// A track that is silent for so long while the other speaks is filled with silence.
        quiet_after: Duration = preset(Period(ms(20)..=s(60)), LegConfig::default().quiet_after);
        /// A frame this near to where it is expected is put there, since clocks are rounded.
        wobble: Duration = preset(Period(s(0)..=ms(100)), LegConfig::default().wobble);
        /// Keys by their ids.
        shared_keys: Vec<SharedKey> = tables(100);
    }
    check someone_signs
}

settings! {
    /// A key for signatures by HMAC-SHA256, which name their key.
    pub struct SharedKey {
        /// The id by which a signature names it.
        id: String = required(Text(1..=128), "SK0123456789abcdef");
        /// The key.
        secret: Private<String> = required(Secret, "env:TWILIO_SHARED_KEY");
    }
}

impl Twilio {
    /// What the ingress is told.
    pub fn ingress(&self, http: &Http, limits: &Limits) -> TwilioConfig {
        TwilioConfig {
            public_url: http.public_url.clone(),
            auth_tokens: self.auth_tokens.clone(),
            shared_keys: self.shared_keys_by_id(),
            require_signature: self.require_signature,
            token_secret: self.token_secret.clone(),
            token_secrets_accepted: self.token_secrets_accepted.clone(),
            token_ttl: self.token_ttl,
            start_timeout: self.start_timeout,
            media_timeout: self.media_timeout,
            socket_timeout: self.socket_timeout,
            close_timeout: self.close_timeout,
            message_bytes_max: self.message_bytes_max,
            bad_messages_max: self.bad_messages_max,
            sockets_max: self.sockets_max,
            retry_after: limits.retry_after,
        }
    }

    /// How a leg is put in order.
    pub fn leg(&self) -> LegConfig {
        LegConfig {
            gap_fill_max: self.gap_fill_max,
            order_frames: self.order_frames,
            quiet_after: self.quiet_after,
            wobble: self.wobble,
            ..LegConfig::default()
        }
    }

    /// The shared keys, as the ingress wants them.
    pub fn shared_keys_by_id(&self) -> Vec<(String, Private<String>)> {
        self.shared_keys
            .iter()
            .map(|key| (key.id.clone(), key.secret.clone()))
            .collect()
    }

    fn someone_signs(&self, s: &mut Section<'_>) {
        if self.require_signature && self.auth_tokens.is_empty() && self.shared_keys.is_empty() {
            let what = "is empty: while twilio.require_signature is true, expected at least one";
            s.refuse("auth_tokens", what);
        }
    }
}
