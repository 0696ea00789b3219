# A stand-in for the library of nixpkgs: as much of it as nix/module.nix uses, so that the module can be evaluated where there is
# no nixpkgs. It shows that the module hangs together: names, types, defaults, conditions, what is made of settings. How the real
# one merges, and what it says of a mistake, only the real one shows: PRE_NIXOS_NIXPKGS=/path has the same tests use it.
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    elem
    filter
    foldl'
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    listToAttrs
    map
    mapAttrs
    match
    ;

  is = kind: value: isAttrs value && value._type or "" == kind;
  unique = foldl' (found: each: if elem each found then found else found ++ [ each ]) [ ];
  genAttrs =
    names: make:
    listToAttrs (
      map (name: {
        inherit name;
        value = make name;
      }) names
    );
  at = concatStringsSep ".";
  concatStringsSep = builtins.concatStringsSep;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };

  # Conditions move into the sets they are about, so that nobody has to know them to see which names there are.
  sets =
    value:
    if is "merge" value then
      concatMap sets value.contents
    else if is "if" value then
      map (mapAttrs (_: mkIf value.condition)) (sets value.content)
    else
      [ value ];

  defaultPriority = 100;
  values =
    priority: value:
    if is "merge" value then
      concatMap (values priority) value.contents
    else if is "if" value then
      if value.condition then values priority value.content else [ ]
    else if is "override" value then
      values value.priority value.content
    else
      [ { inherit priority value; } ];

  strongest =
    found:
    let
      first = foldl' (least: each: if each.priority < least then each.priority else least) 9999 found;
    in
    map (each: each.value) (filter (each: each.priority == first) found);

  # The value of an option, of all that was said of it.
  valueOf =
    path: option: said:
    let
      found = concatMap (values defaultPriority) said;
      chosen =
        if found == [ ] then
          if option ? default then
            [ option.default ]
          else
            throw "The option `${at path}' was accessed but has no value defined. Try setting the option."
        else
          strongest found;
    in
    merged path option.type chosen;

  merged =
    path: type: chosen:
    if all type.check chosen then
      type.merge path chosen
    else
      throw "A definition for option `${at path}' is not of type `${type.description}'.";

  evaluate =
    path: options: freeform: said:
    let
      all = concatMap sets said;
      names = unique (concatMap attrNames all);
      strange = filter (name: !(options ? ${name})) names;
      here = name: concatMap (each: if each ? ${name} then [ each.${name} ] else [ ]) all;
      value =
        name: option:
        if is "option" option then
          valueOf (path ++ [ name ]) option (here name)
        else
          evaluate (path ++ [ name ]) option null (here name);
    in
    if strange != [ ] && freeform == null then
      throw "The option `${at (path ++ [ (builtins.head strange) ])}' does not exist."
    else
      mapAttrs value options
      // (
        if freeform == null then
          { }
        else
          freeform.merge path (map (each: removeAttrs each (attrNames options)) all)
      );

  last = chosen: builtins.elemAt chosen (builtins.length chosen - 1);
  one = path: chosen: if all (each: each == last chosen) chosen then last chosen else throw "The option `${at path}' has conflicting definition values.";
  simple = description: check: {
    inherit description check;
    merge = one;
  };

  deep =
    path: chosen:
    if all isAttrs chosen && !any (each: each ? type && each.type == "derivation") chosen then
      genAttrs (unique (concatMap attrNames chosen)) (
        name: deep (path ++ [ name ]) (strongest (concatMap (values defaultPriority) (concatMap (each: if each ? ${name} then [ each.${name} ] else [ ]) chosen)))
      )
    else if all isList chosen then
      concatLists chosen
    else
      one path chosen;

  types = rec {
    bool = simple "boolean" isBool;
    int = simple "signed integer" isInt;
    float = simple "floating point number" isFloat;
    number = either int float;
    str = simple "string" isString;
    path = simple "absolute path" (value: builtins.isPath value || isString value && match "/.*" value != null);
    package = simple "package" (value: value.type or "" == "derivation");
    anything = {
      description = "anything";
      check = _: true;
      merge = deep;
    };
    enum = words: simple "one of ${concatStringsSep ", " (map builtins.toJSON words)}" (value: elem value words);
    strMatching = pattern: simple "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);
    addCheck = type: more: type // { check = value: type.check value && more value; };
    ints.between = low: high: addCheck (simple "integer between ${toString low} and ${toString high} (both inclusive)" isInt) (value: value >= low && value <= high);
    ints.positive = addCheck (simple "positive integer, meaning >0" isInt) (value: value > 0);
    nullOr = type: {
      description = "null or ${type.description}";
      check = value: value == null || type.check value;
      merge = path: chosen: if all (each: each == null) chosen then null else type.merge path chosen;
    };
    either = first: second: {
      description = "${first.description} or ${second.description}";
      check = value: first.check value || second.check value;
      merge = path: chosen: if all first.check chosen then first.merge path chosen else second.merge path chosen;
    };
    oneOf = all: foldl' either (builtins.head all) (builtins.tail all);
    listOf = type: {
      description = "list of ${type.description}";
      check = isList;
      merge = path: chosen: map (each: merged (path ++ [ "[]" ]) type [ each ]) (concatLists chosen);
    };
    attrsOf = type: {
      description = "attribute set of ${type.description}";
      check = isAttrs;
      merge =
        path: chosen:
        genAttrs (unique (concatMap attrNames (concatMap sets chosen))) (
          name:
          merged (path ++ [ name ]) type (
            strongest (
              concatMap (each: if each ? ${name} then values defaultPriority each.${name} else [ ]) (concatMap sets chosen)
            )
          )
        );
    };
    submodule =
      {
        options ? { },
        config ? { },
        freeformType ? null,
      }:
      {
        description = "submodule";
        check = isAttrs;
        merge = path: chosen: evaluate path options freeformType ([ config ] ++ chosen);
      };
  };
in
rec {
  inherit
    all
    attrNames
    concatStringsSep
    filter
    mapAttrs
    mkIf
    types
    ;
  inherit (builtins) concatLists head replaceStrings;
  filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  removePrefix = prefix: text: if hasPrefix prefix text then builtins.substring (builtins.stringLength prefix) 9999 text else text;
  toList = value: if isList value then value else [ value ];
  getExe = package: "${package.outPath}/bin/${package.meta.mainProgram}";
  concatMapStringsSep = separator: make: list: concatStringsSep separator (map make list);
  imap1 = make: list: builtins.genList (number: make (number + 1) (builtins.elemAt list number)) (builtins.length list);
  optionalAttrs = condition: set: if condition then set else { };
  literalExpression = text: { inherit text; };
  mkOption = option: { _type = "option"; } // option;
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  optional = condition: each: if condition then [ each ] else [ ];
  splitString = separator: text: filter isString (builtins.split separator text);

  evalModules =
    {
      modules,
      specialArgs ? { },
    }:
    let
      args = foldl' (found: each: found // each._module.args or { }) specialArgs (filter isAttrs modules);
      # A module is a set, what gives one, or the file it is in; it may bring others.
      call =
        each:
        if builtins.isFunction each then
          call (
            each (
              {
                inherit config;
                lib = import ./lib.nix;
              }
              // args
            )
          )
        else if isAttrs each then
          concatMap call (each.imports or [ ]) ++ [ (removeAttrs each [ "imports" ]) ]
        else
          call (import each);
      called = concatMap call (filter (each: !(each ? _module)) modules);
      whole = each: each ? options || each ? config;
      options = foldl' together { } (map (each: each.options or { }) called);
      together =
        one: other:
        one
        // mapAttrs (name: value: if one ? ${name} && !is "option" value then together one.${name} value else value) other;
      config = evaluate [ ] options null (map (each: if whole each then each.config or { } else each) called);
    in
    {
      inherit config;
    };
}
