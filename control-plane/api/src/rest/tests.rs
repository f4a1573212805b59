//! Tests of transcoding from end to end.
