//! What an answer says of its own usage, in kinds that do not overlap, whatever its dialect calls them. Each dialect's
//! `usage` module reads its own object into [`Counts`].

use proto::types::TokenUsage;

/// The figures of one or more `usage` objects. `None`: it was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Input neither read from nor written to a cache.
    pub input: Option<i64>,
    /// Output, thinking included.
    pub output: Option<i64>,
    /// Input read from a cache.
    pub cache_read: Option<i64>,
    /// Input written to caches of both kinds.
    pub cache_write: Option<i64>,
    /// Of it: to a cache of five minutes.
    pub cache_write_5m: Option<i64>,
    /// Of it: to a cache of one hour.
    pub cache_write_1h: Option<i64>,
    /// Of the output: thinking.
    pub reasoning: Option<i64>,
    /// Of the input: audio.
    pub audio_input: Option<i64>,
    /// Of the output: audio.
    pub audio_output: Option<i64>,
    /// Of the input: images.
    pub image_input: Option<i64>,
    /// Of the output: images.
    pub image_output: Option<i64>,
    /// Searches and the like that are charged by call.
    pub server_tool_calls: Option<i64>,
    /// The tier that served.
    pub service_tier: Option<String>,
    /// Something was off: a wrong type, a negative or fractional number, figures that fell.
    pub irregular: bool,
}

impl Counts {
    /// Nothing that could be read.
    pub(crate) fn nothing() -> Self {
        Self { irregular: true, ..Self::default() }
    }

    /// Takes later figures of the same answer. They are totals so far, so what is said again replaces what was said;
    /// only figures of the input that all fall to nothing are a gateway's omission and leave the former.
    pub fn update(&mut self, later: Self) {
        let input_side = |counts: &Self| {
            [
                counts.input,
                counts.cache_read,
                counts.cache_write,
                counts.cache_write_5m,
                counts.cache_write_1h,
            ]
        };
        let some = |figures: [Option<i64>; 5]| figures.into_iter().flatten().any(|figure| figure > 0);
        let omitted = input_side(&later).iter().any(Option::is_some)
            && !some(input_side(&later))
            && some(input_side(self));
        self.irregular |= later.irregular || omitted;
        if !omitted {
            self.input = later.input.or(self.input);
            self.cache_read = later.cache_read.or(self.cache_read);
            if later.cache_write.is_some() && later.cache_write != self.cache_write {
                // A new total without parts: the parts said before are of the old one.
                self.cache_write_5m = None;
                self.cache_write_1h = None;
            }
            self.cache_write = later.cache_write.or(self.cache_write);
            self.cache_write_5m = later.cache_write_5m.or(self.cache_write_5m);
            self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        }
        if later.output.is_some() {
            self.irregular |= later.output < self.output;
            self.output = later.output;
        }
        self.reasoning = later.reasoning.or(self.reasoning);
        self.audio_input = later.audio_input.or(self.audio_input);
        self.audio_output = later.audio_output.or(self.audio_output);
        self.image_input = later.image_input.or(self.image_input);
        self.image_output = later.image_output.or(self.image_output);
        self.server_tool_calls = later.server_tool_calls.or(self.server_tool_calls);
        self.service_tier = later.service_tier.or_else(|| self.service_tier.take());
    }

    /// As kinds that do not overlap. Cache writes of unknown life count as five minutes', the API's default.
    pub fn tokens(&self) -> TokenUsage {
        let one_hour = self.cache_write_1h.unwrap_or(0);
        let five_minutes = self.cache_write_5m.unwrap_or(0);
        let unsaid =
            self.cache_write.unwrap_or(0).saturating_sub(one_hour.saturating_add(five_minutes)).max(0);
        let (input, output) = (self.input.unwrap_or(0), self.output.unwrap_or(0));
        TokenUsage {
            input,
            output,
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: five_minutes.saturating_add(unsaid),
            cache_write_1h: one_hour,
            reasoning: self.reasoning.unwrap_or(0).min(output),
            server_tool_calls: self.server_tool_calls.unwrap_or(0),
            audio_input: self.audio_input.unwrap_or(0).min(input),
            audio_output: self.audio_output.unwrap_or(0).min(output),
            image_input: self.image_input.unwrap_or(0).min(input),
            image_output: self.image_output.unwrap_or(0).min(output),
        }
    }
}
