//! Any bytes as a request of any dialect: refused or converted into JSON for any other, never a panic.
#![no_main]

use convert::{Options, Plan};
use dialects::Dialect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let models = [
        "claude-sonnet-4-5",
        "claude-opus-5-5",
        "gpt-5.1",
        "gpt-4.1",
        "gemini-2.5-pro",
        "gemini-3-flash",
        "",
    ];
    let options = Options {
        model: models[usize::from(input.0) % models.len()],
        request_id: "req_1",
        ..Options::default()
    };
    for from in Dialect::ALL {
        for to in Dialect::ALL {
            let Some(plan) = Plan::new(from, to, Plan::operation(from)) else { continue };
            if let Ok(converted) = plan.request(input.1, &options) {
                serde_json::from_slice::<serde_json::Value>(&converted.body).expect("a body is JSON");
                for loss in &converted.losses {
                    assert!(
                        loss.field.bytes().all(|byte| byte.is_ascii_graphic()),
                        "no header takes {}",
                        loss.field
                    );
                }
            }
        }
    }
});
