//! The admin API: gRPC services, permissions, REST transcoding, OpenAPI.
