// Holds documents, and excerpts of a schema, against the schemas that Shopify publishes, with GraphQL's own library.
// Reads {"documents": {name: text}, "excerpts": [text]} from stdin; the excerpts together are one. Prints {version:
// {documents: {name: [what is wrong]}, excerpt: [what is wrong]}} as one line of JSON.
//
//   node shopify_schema.mjs FOLDER VERSION...    FOLDER has VERSION.json, an introspection

import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { buildASTSchema, buildClientSchema, isEnumType, isInputObjectType, isInterfaceType, isIntrospectionType,
  isObjectType, isScalarType, isSpecifiedDirective, isSpecifiedScalarType, isUnionType, parse, validate } from 'graphql'

const [folder, ...versions] = process.argv.slice(2)
const { documents, excerpts } = JSON.parse(readFileSync(0, 'utf8'))

const argumentsOf = (where, ours, theirs, wrong) => {
  for (const argument of ours) {
    const known = theirs.find((one) => one.name === argument.name)
    if (!known) wrong.push(`${where}(${argument.name}:) is not there`)
    else if (String(known.type) !== String(argument.type))
      wrong.push(`${where}(${argument.name}:) is ${argument.type} here, ${known.type} there`)
    else if (argument.defaultValue !== undefined && !isDeepStrictEqual(argument.defaultValue, known.defaultValue))
      wrong.push(`${where}(${argument.name}:) has another default: ${argument.defaultValue}, ${known.defaultValue}`)
  }
  for (const known of theirs)
    if (known.type.toString().endsWith('!') && known.defaultValue === undefined &&
        !ours.some((one) => one.name === known.name))
      wrong.push(`${where}(${known.name}:) must be given there, and is not here`)
}

const kindOf = (type) => [isObjectType, isInterfaceType, isUnionType, isEnumType, isInputObjectType, isScalarType]
  .findIndex((is) => is(type))

const fieldsOf = (type, known, wrong) => {
  const theirs = known.getFields()
  for (const field of Object.values(type.getFields())) {
    const same = theirs[field.name]
    const where = `${type.name}.${field.name}`
    if (!same) wrong.push(`${where} is not there`)
    else {
      if (String(same.type) !== String(field.type)) wrong.push(`${where} is ${field.type} here, ${same.type} there`)
      if (!isInputObjectType(type)) argumentsOf(where, field.args, same.args, wrong)
      else if (field.defaultValue !== undefined && !isDeepStrictEqual(field.defaultValue, same.defaultValue))
        wrong.push(`${where} has another default`)
    }
  }
  if (isInputObjectType(type))
    for (const field of Object.values(theirs))
      if (String(field.type).endsWith('!') && field.defaultValue === undefined && !type.getFields()[field.name])
        wrong.push(`${type.name}.${field.name} must be given there, and is not here`)
}

// Every type, field, argument and value of the excerpt is one of the whole.
const differences = (excerpt, whole) => {
  const wrong = []
  for (const type of Object.values(excerpt.getTypeMap())) {
    if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue
    const known = whole.getType(type.name)
    if (!known) wrong.push(`${type.name} is not there`)
    else if (kindOf(known) !== kindOf(type)) wrong.push(`${type.name} is of another kind there`)
    else if (isEnumType(type)) {
      for (const { name } of type.getValues()) if (!known.getValue(name)) wrong.push(`${type.name}.${name} is not there`)
    } else if (isUnionType(type)) {
      const members = known.getTypes().map(String)
      for (const one of type.getTypes()) if (!members.includes(String(one))) wrong.push(`${type.name} has no ${one} there`)
    } else if (!isScalarType(type)) {
      fieldsOf(type, known, wrong)
      if (!isInputObjectType(type)) {
        const faces = known.getInterfaces().map(String)
        for (const one of type.getInterfaces()) if (!faces.includes(String(one))) wrong.push(`${type.name} is no ${one} there`)
      }
    }
  }
  for (const directive of excerpt.getDirectives()) {
    if (isSpecifiedDirective(directive)) continue
    const known = whole.getDirective(directive.name)
    if (!known) wrong.push(`@${directive.name} is not there`)
    else argumentsOf('@' + directive.name, directive.args, known.args, wrong)
  }
  return wrong
}

// One document of all excerpts: a type that several have has the fields of each.
const merged = (texts) => {
  const byName = new Map()
  for (const definition of texts.flatMap((text) => parse(text, { noLocation: true }).definitions)) {
    const name = definition.kind + (definition.name?.value ?? '')
    const known = byName.get(name)
    const fresh = (definition.fields ?? []).filter((one) => !known?.fields?.some((old) => old.name.value === one.name.value))
    byName.set(name, known ? { ...known, fields: [...(known.fields ?? []), ...fresh] } : definition)
  }
  return { kind: 'Document', definitions: [...byName.values()] }
}

const attempt = (doing) => {
  try {
    return doing()
  } catch (error) {
    return [error.message]
  }
}

const out = {}
for (const version of versions) {
  const schema = buildClientSchema(JSON.parse(readFileSync(`${folder}/${version}.json`, 'utf8')))
  const wrongIn = (text) => attempt(() => validate(schema, parse(text)).map((error) => error.message))
  out[version] = {
    types: Object.keys(schema.getTypeMap()).length,
    documents: Object.fromEntries(Object.entries(documents).map(([name, text]) => [name, wrongIn(text)])),
    excerpt: attempt(() => differences(buildASTSchema(merged(excerpts)), schema)),
  }
}
console.log(JSON.stringify(out))
