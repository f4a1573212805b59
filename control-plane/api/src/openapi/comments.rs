//! The contract's comments, found by the place of what they stand before.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Comments by file and path within it.
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        let mut comments = HashMap::new();
        for file in pool.files() {
            let Some(info) = file.file_descriptor_proto().source_code_info.as_ref() else { continue };
            for location in &info.location {
                if let Some(comment) = &location.leading_comments {
                    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
                    let text = lines.join(" ").trim().to_owned();
                    comments.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self(comments)
    }

    /// The comment on what is at a path of a file; empty: none.
    pub(super) fn at(&self, file: &FileDescriptor, path: &[i32]) -> String {
        self.0.get(&(file.name().to_owned(), path.to_vec())).cloned().unwrap_or_default()
    }
}
