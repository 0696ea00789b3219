# The options of policies, made of policies.json, which pre-nixos writes: `pre-nixos policies --schema`.
{ lib }:

let
  inherit (lib) types;

  bounded =
    schema: type:
    let
      low = schema.minimum or null;
      high = schema.maximum or null;
      inside = value: (low == null || value >= low) && (high == null || value <= high);
      bounds =
        if low != null && high != null then
          " from ${toString low} to ${toString high}"
        else if low != null then
          ", at least ${toString low}"
        else
          ", at most ${toString high}";
    in
    if low == null && high == null then
      type
    else
      types.addCheck type inside // { description = "${type.description}${bounds}"; };

  typeOf =
    schema:
    if schema ? anyOf then
      # Something, or null where the policy decides.
      types.nullOr (typeOf (lib.head (lib.filter (each: each != { type = "null"; }) schema.anyOf)))
    else if schema ? enum then
      types.enum schema.enum
    else
      {
        array = types.listOf (typeOf schema.items);
        boolean = types.bool;
        integer = bounded schema types.int;
        number = bounded schema types.number;
        string = types.str;
      }
      .${schema.type};

  optionOf =
    schema:
    lib.mkOption (
      {
        type = typeOf schema;
        description = "${schema.description}.";
      }
      # What has none must be said, if its policy is the one.
      // builtins.intersectAttrs { default = null; } schema
    );
in
{
  # Options of one policy, as a submodule has them; `more` are definitions that take the place of defaults.
  policy =
    { summary, options }:
    more:
    lib.mkOption {
      type = types.submodule {
        options = lib.mapAttrs (_: optionOf) options;
        config = lib.mapAttrs (_: lib.mkDefault) (builtins.intersectAttrs options more);
      };
      default = { };
      description = "${summary}.";
    };
}
