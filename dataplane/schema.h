/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h: what a record of a stream looks like, from one list of its fields.
 *
 *     #define BID(F) F(i64, auction) F(i64, price) F(time, at) F(str, extra)
 *     WEIR_SCHEMA(bid, BID)
 *
 * declares `struct bid`, its descriptor `bid_schema()`, and loads, stores and an emit for it. One
 * struct serves both layouts of a batch: in the row layout rows are such structs at a fixed stride;
 * in the column layout the column of field f begins at base + cap * offsetof(struct bid, f), so
 * both take the same room.
 *
 * Field types: bool, i32, i64, f64, str; ts (a time like any value), time (the event time of the
 * record: at most one field), dec3 (an exact decimal, held as an i64 of thousandths).
 */
#ifndef WEIR_DATAPLANE_SCHEMA_H
#define WEIR_DATAPLANE_SCHEMA_H

#include "dataplane/types.h"

WEIR_C_BEGIN

enum weir_type {
    WEIR_TYPE_BOOL,
    WEIR_TYPE_I32,
    WEIR_TYPE_I64,
    WEIR_TYPE_F64,
    WEIR_TYPE_STR,
    WEIR_TYPE_TS,
    WEIR_TYPE_TIME,
    WEIR_TYPE_DEC,
    WEIR_TYPE_CNT
};

#define WEIR_FIELD_CNT_MAX 63

struct weir_field {
    const char *name;
    uint16_t type; /* enum weir_type */
    uint16_t scale; /* digits after the point, WEIR_TYPE_DEC only */
    uint32_t off; /* in the row struct */
    uint32_t bytes;
    bool nullable; /* bit `index of the field` of the row's first 8 bytes says that it is null */
};

/* Borrowed for ever: descriptors are static data of the job, or live as long as its graph. */
struct weir_schema {
    const char *name;
    const struct weir_field *fields;
    uint32_t field_cnt;
    uint32_t row_bytes; /* sizeof the row struct, a multiple of 8 */
    int32_t time_idx; /* the field of type time, or -1 */
    bool has_nulls; /* the row begins with a uint64_t null mask that is no field */
};

/* weir_schema_fingerprint - a hash of names, types, scales and order; equal means compatible. */
WEIR_API uint64_t weir_schema_fingerprint(const struct weir_schema *schema);
/* weir_schema_field - the index of the field of that name, or -1. */
WEIR_API int weir_schema_field(const struct weir_schema *schema, const char *name);
/* weir_schema_check - 0, or WEIR_EGRAPH with the field that is wrong. */
WEIR_API int weir_schema_check(const struct weir_schema *schema);
/* weir_type_name - the name of a field type as schemas and pipelines write it. */
WEIR_API const char *weir_type_name(uint32_t type);

static inline bool
weir_schema_has_str(const struct weir_schema *schema)
{
    for (uint32_t i = 0; i < schema->field_cnt; i++) {
        if (schema->fields[i].type == WEIR_TYPE_STR) {
            return true;
        }
    }
    return false;
}

typedef uint8_t weir_t_bool;
typedef int32_t weir_t_i32;
typedef int64_t weir_t_i64;
typedef double weir_t_f64;
typedef struct weir_str weir_t_str;
typedef int64_t weir_t_ts;
typedef int64_t weir_t_time;
typedef int64_t weir_t_dec3;

#define WEIR_TYPE_OF_bool WEIR_TYPE_BOOL, 0
#define WEIR_TYPE_OF_i32 WEIR_TYPE_I32, 0
#define WEIR_TYPE_OF_i64 WEIR_TYPE_I64, 0
#define WEIR_TYPE_OF_f64 WEIR_TYPE_F64, 0
#define WEIR_TYPE_OF_str WEIR_TYPE_STR, 0
#define WEIR_TYPE_OF_ts WEIR_TYPE_TS, 0
#define WEIR_TYPE_OF_time WEIR_TYPE_TIME, 0
#define WEIR_TYPE_OF_dec3 WEIR_TYPE_DEC, 3
#define WEIR_IS_TIME_bool 0
#define WEIR_IS_TIME_i32 0
#define WEIR_IS_TIME_i64 0
#define WEIR_IS_TIME_f64 0
#define WEIR_IS_TIME_str 0
#define WEIR_IS_TIME_ts 0
#define WEIR_IS_TIME_time 1
#define WEIR_IS_TIME_dec3 0

#define WEIR_FIELD_DECL(type, field) weir_t_##type field;
#define WEIR_FIELD_ROW(type, field) \
    {#field, WEIR_TYPE_OF_##type, offsetof(weir_self, field), sizeof(weir_t_##type), false},
#define WEIR_FIELD_ORDER(type, field) weir_field_##field,
/* The index of the time field: each field adds its own index where it is one (at most one is). */
#define WEIR_FIELD_TIME(type, field) +(WEIR_IS_TIME_##type * (weir_field_##field + 1))
#define WEIR_FIELD_LOAD(type, field) \
    row->field = ((const weir_t_##type *)(base + cap * offsetof(weir_self, field)))[idx];
#define WEIR_FIELD_STORE(type, field) \
    ((weir_t_##type *)(base + cap * offsetof(weir_self, field)))[idx] = row->field;

struct weir_out;

/* WEIR_SCHEMA - see the top of this file. The struct is packed to 8 bytes by its own alignment. */
#define WEIR_SCHEMA(name, FIELDS)                                                            \
    struct WEIR_ALIGNED(8) name {                                                            \
        FIELDS(WEIR_FIELD_DECL)                                                              \
    };                                                                                       \
    static inline const struct weir_schema *name##_schema(void)                              \
    {                                                                                        \
        typedef struct name weir_self;                                                       \
        enum { FIELDS(WEIR_FIELD_ORDER) weir_field_total };                                  \
        static const struct weir_field fields[] = {FIELDS(WEIR_FIELD_ROW)};                  \
        static const struct weir_schema schema = {#name, fields, (uint32_t)weir_field_total, \
            (uint32_t)sizeof(weir_self), 0 FIELDS(WEIR_FIELD_TIME) - 1, false};              \
        return &schema;                                                                      \
    }                                                                                        \
    static inline WEIR_UNUSED void name##_load(                                              \
        const char *base, size_t cap, size_t idx, struct name *row)                          \
    {                                                                                        \
        typedef struct name weir_self;                                                       \
        FIELDS(WEIR_FIELD_LOAD)                                                              \
    }                                                                                        \
    static inline WEIR_UNUSED void name##_store(                                             \
        char *base, size_t cap, size_t idx, const struct name *row)                          \
    {                                                                                        \
        typedef struct name weir_self;                                                       \
        FIELDS(WEIR_FIELD_STORE)                                                             \
    }                                                                                        \
    static inline WEIR_UNUSED struct name *name##_emit(struct weir_out *out)                 \
    {                                                                                        \
        return (struct name *)weir_out_row(out);                                             \
    }

WEIR_C_END

#endif
